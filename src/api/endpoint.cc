#include "api/endpoint.h"

#include <netdb.h>
#include <sys/socket.h>

#include <cerrno>
#include <charconv>
#include <cstring>
#include <memory>

namespace clew::api {

std::string ListenAddress::text() const {
  return (ip.find(':') == std::string::npos ? ip : "[" + ip + "]") + ":" + std::to_string(port);
}

Result<std::vector<ListenAddress>> resolve_endpoint(std::string_view endpoint) {
  const auto bad = [&](const std::string& why) {
    return Error{Code::kInvalidArgument,
                 "the endpoint '" + std::string(endpoint) + "' " + why + "; write host:port, e.g. 127.0.0.1:4318"};
  };
  const size_t colon = endpoint.rfind(':');
  if (colon == std::string_view::npos) return bad("has no port");
  const std::string_view port_text = endpoint.substr(colon + 1);
  uint16_t port = 0;
  const auto [end, failed] = std::from_chars(port_text.data(), port_text.data() + port_text.size(), port);
  if (failed != std::errc() || end != port_text.data() + port_text.size()) return bad("has no valid port");
  std::string host(endpoint.substr(0, colon));
  if (host.size() >= 2 && host.front() == '[' && host.back() == ']') {
    host = host.substr(1, host.size() - 2);
  } else if (host.find(':') != std::string::npos) {
    return bad("is ambiguous: put the IPv6 address in brackets");
  }
  if (host.empty()) return std::vector<ListenAddress>{{"::", port}, {"0.0.0.0", port}};

  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_PASSIVE;
  addrinfo* found = nullptr;
  if (const int code = getaddrinfo(host.c_str(), nullptr, &hints, &found); code != 0) {
    return bad(std::string("cannot be resolved: ") + gai_strerror(code));
  }
  const std::unique_ptr<addrinfo, decltype(&freeaddrinfo)> owner(found, freeaddrinfo);
  std::vector<ListenAddress> addresses;
  for (const addrinfo* entry = found; entry != nullptr; entry = entry->ai_next) {
    char text[NI_MAXHOST];
    if (getnameinfo(entry->ai_addr, entry->ai_addrlen, text, sizeof text, nullptr, 0, NI_NUMERICHOST) != 0) continue;
    // IPv4 first: "localhost" is 127.0.0.1 to nearly everybody who types it.
    addresses.insert(entry->ai_family == AF_INET ? addresses.begin() : addresses.end(), ListenAddress{text, port});
  }
  if (addresses.empty()) return bad("has no address");
  return addresses;
}

std::string listen_failure(std::string_view server, std::string_view endpoint, int error) {
  std::string text =
      "listen on " + std::string(endpoint) + " for " + std::string(server) + ": " + std::strerror(error) + "; ";
  switch (error) {
    case EADDRINUSE:
      return text + "another process has this port: stop it, or set another endpoint";
    case EACCES:
      return text + "ports below 1024 need privileges: set a higher port, or grant CAP_NET_BIND_SERVICE";
    case EADDRNOTAVAIL:
      return text + "this machine does not have that address: set one of its own, or 127.0.0.1";
    default:
      return text + "check the endpoint";
  }
}

}  // namespace clew::api
