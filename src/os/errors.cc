#include "os/errors.h"

#include <cerrno>
#include <system_error>

namespace clew::os {
namespace {

struct Advice {
  Code code;
  const char* words;  // may be empty
};

Advice advice(int error_number) {
  switch (error_number) {
    case ENOSPC:
      return {Code::kResourceExhausted, "free space on this file system"};
    case EDQUOT:
      return {Code::kResourceExhausted, "the quota of the user that runs clew is used up: raise it"};
    case EMFILE:
    case ENFILE:
      return {Code::kResourceExhausted, "raise the limit of open files (ulimit -n, LimitNOFILE=)"};
    case ENOMEM:
      return {Code::kResourceExhausted, ""};
    case EFBIG:
      return {Code::kResourceExhausted, "raise the limit of the file size (ulimit -f)"};
    case EACCES:
    case EPERM:
      return {Code::kPermissionDenied, "give the user that runs clew access to it"};
    case EROFS:
      return {Code::kPermissionDenied, "the file system is mounted read-only"};
    case ENOENT:
      return {Code::kNotFound, ""};
    case ENOTDIR:
      return {Code::kFailedPrecondition, "a part of the path is not a directory"};
    case EISDIR:
      return {Code::kFailedPrecondition, "it is a directory"};
    case EEXIST:
      return {Code::kAlreadyExists, ""};
    case EADDRINUSE:
      return {Code::kAlreadyExists, "another process listens there: stop it or choose another port"};
    case EIO:
      return {Code::kDataLoss, "the device reports a failure: check the kernel log (dmesg) and replace it"};
    case EINVAL:
      return {Code::kInvalidArgument, ""};
    default:
      return {Code::kUnavailable, ""};
  }
}

}  // namespace

Error system_error(std::string_view action, std::string_view target, int error_number) {
  const Advice what_to_do = advice(error_number);
  std::string message(action);
  message += ' ';
  message += target;
  message += ": ";
  message += std::generic_category().message(error_number);
  if (*what_to_do.words != '\0') {
    message += "; ";
    message += what_to_do.words;
  }
  return {what_to_do.code, std::move(message)};
}

}  // namespace clew::os
