#include "os/loop.h"

#include <gtest/gtest.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <csignal>
#include <future>
#include <thread>
#include <vector>

#include "os/random.h"
#include "os/signals.h"
#include "os/workers.h"

namespace clew::os {
namespace {

// Waits for the task that a test ends with. Blocks for ever when it never comes: the runner's time limit tells.
class Done {
 public:
  void set() { promise_.set_value(); }
  void wait() { promise_.get_future().wait(); }

 private:
  std::promise<void> promise_;
};

void run_on(OsLoop& loop, Task task) {
  Done done;
  loop.post([&] {
    task();
    done.set();
  });
  done.wait();
}

TEST(OsLoop, runsPostedTasksOnItsThreadInOrder) {
  Workers workers;
  OsLoop loop("test", workers);
  std::vector<int> seen;
  Done done;
  for (int i = 0; i < 1000; ++i) {
    loop.post([&, i] {
      EXPECT_TRUE(loop.on_this_thread());
      seen.push_back(i);
    });
  }
  loop.post([&] { done.set(); });
  done.wait();
  EXPECT_FALSE(loop.on_this_thread());
  ASSERT_EQ(seen.size(), 1000u);
  for (int i = 0; i < 1000; ++i) EXPECT_EQ(seen[static_cast<size_t>(i)], i);
}

TEST(OsLoop, takesPostsFromManyThreadsKeepingEachOnesOrder) {
  Workers workers;
  OsLoop loop("test", workers);
  constexpr int kThreads = 4, kTasks = 2000;
  std::vector<std::vector<int>> seen(kThreads);
  std::vector<std::thread> posters;
  for (int t = 0; t < kThreads; ++t) {
    posters.emplace_back([&, t] {
      for (int i = 0; i < kTasks; ++i) loop.post([&seen, t, i] { seen[static_cast<size_t>(t)].push_back(i); });
    });
  }
  for (std::thread& poster : posters) poster.join();
  run_on(loop, [] {});
  for (const auto& of_thread : seen) {
    ASSERT_EQ(of_thread.size(), static_cast<size_t>(kTasks));
    EXPECT_TRUE(std::is_sorted(of_thread.begin(), of_thread.end()));
  }
}

TEST(OsLoop, firesTimersByDeadlineNotByOrderOfSetting) {
  Workers workers;
  OsLoop loop("test", workers);
  std::vector<int> fired;
  Done done;
  loop.post([&] {
    const int64_t begin = loop.clock().mono_ns();
    loop.after(3'000'000, [&] { fired.push_back(3); });
    loop.after(1'000'000, [&] { fired.push_back(1); });
    loop.after(2'000'000, [&] { fired.push_back(2); });
    loop.after(4'000'000, [&, begin] {
      EXPECT_GE(loop.clock().mono_ns() - begin, 4'000'000);
      done.set();
    });
  });
  done.wait();
  EXPECT_EQ(fired, (std::vector<int>{1, 2, 3}));
}

TEST(OsLoop, aCancelledTimerNeverRuns) {
  Workers workers;
  OsLoop loop("test", workers);
  bool ran = false;
  Done done;
  loop.post([&] {
    const env::TimerId timer = loop.after(1'000'000, [&] { ran = true; });
    EXPECT_NE(timer, 0u);
    // Due together with the other one; whichever is first, the other is cancelled before its turn.
    loop.after(0, [&, timer] { loop.cancel(timer); });
    loop.cancel(987654);  // unknown: ignored
    loop.after(3'000'000, [&] { done.set(); });
  });
  done.wait();
  EXPECT_FALSE(ran);
}

TEST(OsLoop, manyCancelledTimersLeaveTheOthersAlone) {
  Workers workers;
  OsLoop loop("test", workers);
  int fired = 0;
  Done done;
  loop.post([&] {
    std::vector<env::TimerId> doomed;
    for (int i = 0; i < 5000; ++i) {
      const env::TimerId timer = loop.after(1'000'000 + i, [&] { ++fired; });
      if (i % 10 != 0) doomed.push_back(timer);
    }
    for (const env::TimerId timer : doomed) loop.cancel(timer);
    loop.after(2'000'000, [&] { done.set(); });
  });
  done.wait();
  EXPECT_EQ(fired, 500);
}

TEST(OsLoop, aTaskThatPostsItselfDoesNotStarveSockets) {
  std::function<void()> again;
  bool stop = false;
  Workers workers;
  OsLoop loop("test", workers);  // ends before what its last tasks look at
  again = [&] {
    if (!stop) loop.post([&] { again(); });
  };
  Done done;
  loop.post([&] { again(); });
  boost::asio::post(loop.context(), [&] {  // stands for a socket's handler
    stop = true;
    done.set();
  });
  done.wait();
}

TEST(OsLoop, offloadsToAnotherThreadAndComesBack) {
  Workers workers;
  OsLoop loop("test", workers);
  for (const env::Lane lane : {env::Lane::kQuery, env::Lane::kBackground, env::Lane::kFiles}) {
    Done done;
    std::thread::id worker;
    loop.offload(
        lane, [&] { worker = std::this_thread::get_id(); },
        [&] {
          EXPECT_TRUE(loop.on_this_thread());
          EXPECT_NE(worker, std::this_thread::get_id());
          done.set();
        });
    done.wait();
  }
}

TEST(OsLoop, aBusyBackgroundLaneDoesNotHoldUpQueries) {
  Workers workers;
  OsLoop loop("test", workers);
  std::promise<void> gate;
  Done background, query;
  loop.offload(
      env::Lane::kBackground, [&] { gate.get_future().wait(); }, [&] { background.set(); });
  loop.offload(
      env::Lane::kQuery, [] {}, [&] { query.set(); });
  query.wait();  // while the background work has not ended
  gate.set_value();
  background.wait();
}

TEST(OsLoop, workOfALaneWithOneThreadRunsInOrder) {
  Workers workers;
  OsLoop loop("test", workers);
  std::vector<int> order;
  Done done;
  for (int i = 0; i < 100; ++i) {
    loop.offload(
        env::Lane::kBackground, [&, i] { order.push_back(i); },
        [&, i] {
          if (i == 99) done.set();
        });
  }
  done.wait();
  EXPECT_EQ(order.size(), 100u);
  EXPECT_TRUE(std::is_sorted(order.begin(), order.end()));
}

TEST(OsLoop, dropsWhatComesAfterStop) {
  Workers workers;
  auto owned = std::make_shared<int>(1);
  OsLoop loop("test", workers);
  loop.stop();
  loop.post([owned] { FAIL(); });
  EXPECT_EQ(owned.use_count(), 1);
  loop.stop();
}

TEST(OsLoop, mayDieBeforeItsOffloadedWorkEnds) {
  Workers workers;
  std::promise<void> gate;
  std::shared_future<void> opened = gate.get_future().share();
  Done begun;
  {
    OsLoop loop("test", workers);
    loop.offload(
        env::Lane::kQuery,
        [&begun, opened] {
          begun.set();
          opened.wait();
        },
        [] { FAIL(); });
    begun.wait();
  }
  gate.set_value();
  workers.stop();
}

TEST(Workers, destroyingDropsWhatIsQueued) {
  auto owned = std::make_shared<int>(1);
  std::promise<void> gate;
  std::shared_future<void> opened = gate.get_future().share();
  Done begun;
  bool second_ran = false;
  {
    Workers workers;
    workers.run(env::Lane::kBackground, [&begun, opened] {
      begun.set();
      opened.wait();
    });
    begun.wait();
    workers.run(env::Lane::kBackground, [owned, &second_ran] { second_ran = true; });
    EXPECT_EQ(workers.queued(env::Lane::kBackground), 1u);
    std::thread stopper([&] { workers.stop(); });
    while (workers.queued(env::Lane::kBackground) != 0) std::this_thread::yield();  // stop() has begun
    gate.set_value();
    stopper.join();
  }
  EXPECT_FALSE(second_ran);
  EXPECT_EQ(owned.use_count(), 1);
}

TEST(OsClock, monotonicTimeDoesNotGoBack) {
  const OsClock clock;
  int64_t last = clock.mono_ns();
  for (int i = 0; i < 1000; ++i) {
    const int64_t now = clock.mono_ns();
    EXPECT_GE(now, last);
    last = now;
  }
}

TEST(OsRandom, drawsDifferentNumbers) {
  OsRandom random;
  EXPECT_NE(random.next(), random.next());
}

TEST(SignalWatch, turnsASignalIntoATask) {
  Workers workers;
  OsLoop loop("test", workers);
  Done done;
  int received = 0;
  auto watch = std::make_unique<SignalWatch>(loop, std::vector<int>{SIGUSR1}, [&](int signal) {
    EXPECT_TRUE(loop.on_this_thread());
    received = signal;
    done.set();
  });
  run_on(loop, [] {});  // the watch is in place
  ::raise(SIGUSR1);
  done.wait();
  EXPECT_EQ(received, SIGUSR1);
  run_on(loop, [&] { watch.reset(); });
}

}  // namespace
}  // namespace clew::os
