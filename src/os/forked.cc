#include "os/forked.h"

#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <utility>
#include <vector>

#include "os/errors.h"

namespace clew::os {
namespace {

// On the pipes: a task is its number; an answer its length, then its bytes.
struct Child {
  pid_t pid = 0;
  int tasks = -1;
  int answers = -1;
  uint64_t task = 0;
  std::string got;
};

bool read_all(int fd, void* to, size_t bytes) {
  auto* at = static_cast<char*>(to);
  while (bytes > 0) {
    const ssize_t n = read(fd, at, bytes);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    at += n;
    bytes -= static_cast<size_t>(n);
  }
  return true;
}

bool write_all(int fd, const void* from, size_t bytes) {
  const auto* at = static_cast<const char*>(from);
  while (bytes > 0) {
    const ssize_t n = write(fd, at, bytes);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    at += n;
    bytes -= static_cast<size_t>(n);
  }
  return true;
}

[[noreturn]] void live(int tasks, int answers, pid_t parent, const std::function<std::string(uint64_t)>& work) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != parent) _exit(0);  // it died before that was set
  for (uint64_t task = 0; read_all(tasks, &task, sizeof task);) {
    const std::string answer = work(task);
    const uint64_t bytes = answer.size();
    if (!write_all(answers, &bytes, sizeof bytes) || !write_all(answers, answer.data(), answer.size())) break;
  }
  _exit(0);
}

class Family {
 public:
  explicit Family(const std::function<std::string(uint64_t)>& work) : work_(work) {
    // A child that died closes its pipe: that is found out by reading, not by a signal to this process.
    struct sigaction ignore {};
    ignore.sa_handler = SIG_IGN;
    sigaction(SIGPIPE, &ignore, &before_);
  }
  ~Family() {
    for (Child& child : children_) end(child, true);
    sigaction(SIGPIPE, &before_, nullptr);
  }
  Family(const Family&) = delete;
  Family& operator=(const Family&) = delete;

  size_t size() const { return children_.size(); }

  // A new child, at `task`.
  Status begin(uint64_t task) {
    int down[2], up[2];
    if (pipe(down) != 0) return system_error("make a pipe", "for a child", errno);
    if (pipe(up) != 0) {
      const int why = errno;
      close(down[0]);
      close(down[1]);
      return system_error("make a pipe", "for a child", why);
    }
    std::fflush(nullptr);  // or each child writes it once more
    const pid_t parent = getpid();
    const pid_t pid = fork();
    if (pid == 0) {
      close(down[1]);
      close(up[0]);
      for (const Child& other : children_) {
        close(other.tasks);
        close(other.answers);
      }
      sigaction(SIGPIPE, &before_, nullptr);
      live(down[0], up[1], parent, work_);
    }
    const int why = errno;
    close(down[0]);
    close(up[1]);
    if (pid < 0) {
      close(down[1]);
      close(up[0]);
      return system_error("fork", "this process", why);
    }
    children_.push_back({.pid = pid, .tasks = down[1], .answers = up[0], .task = 0, .got = {}});
    give(children_.back(), task);
    return {};
  }

  // One that has not died already notices when it reads; one that has is found by its closed pipe.
  void give(Child& child, uint64_t task) {
    child.task = task;
    child.got.clear();
    (void)write_all(child.tasks, &task, sizeof task);
  }

  // Waits until somebody says something. The child that is through with its task, dead or alive; null when none is yet.
  Child* wait(ForkedOutcome& outcome) {
    std::vector<pollfd> waiting;
    for (const Child& child : children_) waiting.push_back({child.answers, POLLIN, 0});
    if (poll(waiting.data(), waiting.size(), -1) <= 0) return nullptr;
    for (size_t i = 0; i < children_.size(); ++i) {
      if ((waiting[i].revents & (POLLIN | POLLHUP)) == 0) continue;
      Child& child = children_[i];
      char buffer[65536];
      const ssize_t n = read(child.answers, buffer, sizeof buffer);
      if (n < 0) continue;
      if (n == 0) {
        outcome = {child.task, end(child, false), {}};
        return &child;
      }
      child.got.append(buffer, static_cast<size_t>(n));
      uint64_t bytes = 0;
      if (child.got.size() < sizeof bytes) continue;
      std::memcpy(&bytes, child.got.data(), sizeof bytes);
      if (child.got.size() < sizeof bytes + bytes) continue;
      outcome = {child.task, 0, child.got.substr(sizeof bytes)};
      return &child;
    }
    return nullptr;
  }

  // The signal that ended it; SIGKILL for one that left by itself, as nobody asked it to.
  int end(Child& child, bool by_force) {
    if (by_force) kill(child.pid, SIGKILL);
    int status = 0;
    while (waitpid(child.pid, &status, 0) < 0 && errno == EINTR) {
    }
    close(child.tasks);
    close(child.answers);
    return WIFSIGNALED(status) ? WTERMSIG(status) : SIGKILL;
  }
  void erase(Child* child) { children_.erase(children_.begin() + (child - children_.data())); }

 private:
  const std::function<std::string(uint64_t)>& work_;
  struct sigaction before_ {};
  std::vector<Child> children_;
};

}  // namespace

Status run_forked(std::span<const uint64_t> tasks, size_t processes, const std::function<std::string(uint64_t)>& work,
                  const std::function<bool(ForkedOutcome)>& done) {
  Family family(work);
  size_t next = 0;
  for (;;) {
    while (next < tasks.size() && family.size() < std::max<size_t>(processes, 1)) {
      CLEW_TRY(family.begin(tasks[next++]));
    }
    if (family.size() == 0) return {};
    ForkedOutcome outcome;
    Child* const child = family.wait(outcome);
    if (child == nullptr) continue;
    const bool died = outcome.signal != 0;
    if (died) family.erase(child);
    if (!done(std::move(outcome))) return {};
    if (died) continue;
    if (next < tasks.size()) {
      family.give(*child, tasks[next++]);
    } else {
      family.end(*child, true);  // it waits for a task and has nothing to tidy up
      family.erase(child);
    }
  }
}

}  // namespace clew::os
