// sd_notify by hand: tells systemd (Type=notify) what the service is doing, one datagram to $NOTIFY_SOCKET.
// Without that variable: nothing happens. Never fails the caller: the service works without being watched.
#pragma once

#include <string_view>

namespace clew::app {

// "READY=1", "STOPPING=1", "RELOADING=1\nMONOTONIC_USEC=...", "STATUS=replaying the log".
void notify_supervisor(std::string_view state);

}  // namespace clew::app
