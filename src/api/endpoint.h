// Endpoints as people write them ("localhost:4318", "[::1]:4318", ":4318") to addresses to listen on, and the words for
// when listening fails. Resolving may block: at start only.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"

namespace clew::api {

struct ListenAddress {
  std::string ip;  // numeric
  uint16_t port = 0;
  std::string text() const;  // "127.0.0.1:4318", "[::1]:4318"
};

// In order of preference; never empty when ok.
Result<std::vector<ListenAddress>> resolve_endpoint(std::string_view endpoint);

// What happened and what to do about it. `error` is an errno.
std::string listen_failure(std::string_view server, std::string_view endpoint, int error);

}  // namespace clew::api
