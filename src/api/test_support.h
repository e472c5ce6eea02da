// For the tests and benchmarks of api/ only: a node that answers as it is told, loops on threads, a client that speaks
// bytes.
#pragma once

#include <pthread.h>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/write.hpp>
#include <condition_variable>
#include <ctime>
#include <deque>
#include <functional>
#include <future>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "api/text.h"
#include "cluster/services.h"

namespace clew::api::test {

// Answers at once with `reply`, or keeps the completions until release().
class FakeIngest final : public cluster::IngestService {
 public:
  void ingest(cluster::IngestRequest request, UniqueFunction<void(cluster::IngestReply)> done) override {
    cluster::IngestReply answer;
    {
      std::unique_lock lock(mutex_);
      requests_.push_back(std::move(request));
      arrived_.notify_all();
      if (held_) {
        waiting_.push_back(std::move(done));
        return;
      }
      answer = reply_;
    }
    done(std::move(answer));
  }
  void answer_with(cluster::IngestReply reply) {
    const std::lock_guard lock(mutex_);
    reply_ = std::move(reply);
  }
  void hold() {
    const std::lock_guard lock(mutex_);
    held_ = true;
  }
  void release() {
    std::deque<UniqueFunction<void(cluster::IngestReply)>> waiting;
    {
      const std::lock_guard lock(mutex_);
      held_ = false;
      waiting.swap(waiting_);
    }
    for (auto& done : waiting) done(reply_);
  }
  void wait_for(size_t count) {
    std::unique_lock lock(mutex_);
    arrived_.wait(lock, [&] { return requests_.size() >= count; });
  }
  std::vector<cluster::IngestRequest> requests() {
    const std::lock_guard lock(mutex_);
    return requests_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable arrived_;
  std::vector<cluster::IngestRequest> requests_;
  std::deque<UniqueFunction<void(cluster::IngestReply)>> waiting_;
  cluster::IngestReply reply_;
  bool held_ = false;
};

class Loops {
 public:
  explicit Loops(size_t count) {
    for (size_t i = 0; i < count; ++i) {
      loops_.push_back(std::make_unique<boost::asio::io_context>(1));
      guards_.push_back(boost::asio::make_work_guard(*loops_.back()));
      threads_.emplace_back([io = loops_.back().get()] { io->run(); });
    }
  }
  ~Loops() { stop(); }
  void stop() {
    guards_.clear();
    for (auto& loop : loops_) loop->stop();
    for (auto& thread : threads_) {
      if (thread.joinable()) thread.join();
    }
  }
  double cpu_seconds() {  // of all loop threads so far
    double total = 0;
    for (auto& thread : threads_) {
      clockid_t clock;
      timespec time{};
      if (pthread_getcpuclockid(thread.native_handle(), &clock) == 0 && clock_gettime(clock, &time) == 0) {
        total += static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) * 1e-9;
      }
    }
    return total;
  }
  std::vector<boost::asio::io_context*> all() const {
    std::vector<boost::asio::io_context*> out;
    for (const auto& loop : loops_) out.push_back(loop.get());
    return out;
  }

 private:
  std::vector<std::unique_ptr<boost::asio::io_context>> loops_;
  std::vector<boost::asio::executor_work_guard<boost::asio::io_context::executor_type>> guards_;
  std::vector<std::thread> threads_;
};

struct Reply {
  int status = 0;  // 0: the connection closed before a reply
  std::string head;
  std::string body;
  std::string header(std::string_view name) const {
    std::string_view rest = head;
    while (!rest.empty()) {
      const size_t end = rest.find("\r\n");
      const std::string_view line = rest.substr(0, end);
      rest = end == std::string_view::npos ? std::string_view() : rest.substr(end + 2);
      const size_t colon = line.find(':');
      if (colon != std::string_view::npos && equals_ignoring_case(line.substr(0, colon), name))
        return std::string(trim(line.substr(colon + 1)));
    }
    return "";
  }
};

// Reads one reply off any stream with read_some(); `left` keeps what follows it.
template <typename Stream>
Reply read_reply(Stream& stream, std::string& left, bool head_only = false) {
  Reply reply;
  boost::system::error_code error;
  char chunk[8192];
  const auto more = [&] {
    const size_t n = stream.read_some(boost::asio::buffer(chunk), error);
    left.append(chunk, n);
    return !error;
  };
  size_t end;
  while ((end = left.find("\r\n\r\n")) == std::string::npos) {
    if (!more()) return reply;
  }
  reply.head = left.substr(0, end + 2);
  left.erase(0, end + 4);
  reply.status = std::stoi(reply.head.substr(9, 3));
  const std::string length = reply.header("Content-Length");
  const size_t size = length.empty() || head_only ? 0 : std::stoul(length);
  while (left.size() < size) {
    if (!more()) break;
  }
  reply.body = left.substr(0, size);
  left.erase(0, size);
  return reply;
}

class Client {
 public:
  explicit Client(uint16_t port) : socket_(io_) {
    socket_.connect({boost::asio::ip::make_address("127.0.0.1"), port});
    socket_.set_option(boost::asio::ip::tcp::no_delay(true));
  }
  // False when the server has closed: what tests of refusals may meet.
  bool send(std::string_view bytes) {
    boost::system::error_code error;
    boost::asio::write(socket_, boost::asio::buffer(bytes.data(), bytes.size()), error);
    return !error;
  }
  void close_sending() { socket_.shutdown(boost::asio::ip::tcp::socket::shutdown_send); }
  Reply receive(bool head_only = false) { return read_reply(socket_, left_, head_only); }
  Reply exchange(std::string_view bytes) {
    send(bytes);
    return receive();
  }
  // Waits until the server closes; true when nothing else came.
  bool closed_by_server() {
    boost::system::error_code error;
    char byte;
    return left_.empty() && socket_.read_some(boost::asio::buffer(&byte, 1), error) == 0 && error;
  }

 private:
  boost::asio::io_context io_;
  boost::asio::ip::tcp::socket socket_;
  std::string left_;
};

inline std::string post(std::string_view path, std::string_view headers, std::string_view body) {
  return "POST " + std::string(path) +
         " HTTP/1.1\r\nHost: localhost\r\nContent-Length: " + std::to_string(body.size()) + "\r\n" +
         std::string(headers) + "\r\n" + std::string(body);
}

}  // namespace clew::api::test
