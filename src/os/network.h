// env::Network on TCP, for OsLoops: the loop that is passed in must be one (checked), and everything happens on its
// thread. Streams set TCP_NODELAY; writes queued while one is under way go out together. Addresses are "host:port" or
// "[v6]:port". Reads come in pieces of at most 64 KiB, one buffer a stream. Streams and listeners die on their loop,
// before it does.
#pragma once

#include "env/network.h"

namespace clew::os {

class OsNetwork final : public env::Network {
 public:
  void connect(env::Loop& loop, const std::string& address,
               UniqueFunction<void(Result<std::unique_ptr<env::Stream>>)> done) override;
  // kAlreadyExists when the port is taken. Port 0 takes a free one: see Listener::port().
  Result<std::unique_ptr<env::Listener>> listen(env::Loop& loop, const std::string& address,
                                                UniqueFunction<void(std::unique_ptr<env::Stream>)> on_accept) override;
};

}  // namespace clew::os
