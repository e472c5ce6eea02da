// Status and Result<T>: how everything in Clew reports failure. No exceptions above third-party edges.
//
// A message says what happened, to what, and what to do about it, e.g.
//   "open /data/wal/00000003.wal: Permission denied; give the clew user write access to the directory".
// The codes are gRPC's canonical ones and map 1:1 to them. Not for programmer errors: those are CHECKs.
// Value types; any thread.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

#include "base/check.h"

namespace clew {

// Numbers are those of grpc::StatusCode.
enum class Code : int {
  kOk = 0,
  kCancelled = 1,
  kUnknown = 2,
  kInvalidArgument = 3,
  kDeadlineExceeded = 4,
  kNotFound = 5,
  kAlreadyExists = 6,
  kPermissionDenied = 7,
  kResourceExhausted = 8,
  kFailedPrecondition = 9,
  kAborted = 10,
  kOutOfRange = 11,
  kUnimplemented = 12,
  kInternal = 13,
  kUnavailable = 14,
  kDataLoss = 15,
  kUnauthenticated = 16,
};

std::string_view code_name(Code code);  // "NOT_FOUND"

struct Error {
  Code code = Code::kUnknown;
  std::string message;
};

class [[nodiscard]] Status {
 public:
  Status() = default;  // ok
  // NOLINTNEXTLINE(google-explicit-constructor): so that a function of Status returns an Error as it is
  Status(Error error) : error_(std::move(error)) { CHECK(error_->code != Code::kOk); }
  Status(Code code, std::string message) : Status(Error{code, std::move(message)}) {}
  static Status ok_status() { return {}; }

  bool ok() const { return !error_.has_value(); }
  explicit operator bool() const { return ok(); }
  Code code() const { return ok() ? Code::kOk : error_->code; }
  const Error& error() const { return *error_; }  // only when !ok()
  std::string_view message() const { return ok() ? std::string_view() : std::string_view(error_->message); }
  std::string to_string() const;  // "OK" or "NOT_FOUND: ..."

 private:
  std::optional<Error> error_;
};

template <typename T>
class [[nodiscard]] Result {
 public:
  // Implicit, so that a function returns what it has.
  // NOLINTBEGIN(google-explicit-constructor)
  Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}
  Result(Error error) : state_(std::in_place_index<1>, std::move(error)) {}
  Result(Status status) : state_(std::in_place_index<1>, status.error()) {}
  // NOLINTEND(google-explicit-constructor)

  bool ok() const { return state_.index() == 0; }
  explicit operator bool() const { return ok(); }
  Status status() const { return ok() ? Status() : Status(std::get<1>(state_)); }
  const Error& error() const { return std::get<1>(state_); }

  T& value() & { return get(); }
  const T& value() const& { return const_cast<Result*>(this)->get(); }
  T&& value() && { return std::move(get()); }
  T& operator*() & { return get(); }
  const T& operator*() const& { return const_cast<Result*>(this)->get(); }
  T&& operator*() && { return std::move(get()); }
  T* operator->() { return &get(); }
  const T* operator->() const { return &const_cast<Result*>(this)->get(); }

 private:
  T& get() {
    CHECK(ok());
    return std::get<0>(state_);
  }
  std::variant<T, Error> state_;
};

// Returns early from a function that returns Status or Result.
#define CLEW_TRY(expression)                                                               \
  do {                                                                                     \
    if (auto clew_status_ = (expression); !clew_status_.ok()) return clew_status_.error(); \
  } while (false)
#define CLEW_CONCAT_(a, b) a##b
#define CLEW_CONCAT(a, b) CLEW_CONCAT_(a, b)
// CLEW_ASSIGN(auto file, disk.open(path));
#define CLEW_ASSIGN(target, expression) CLEW_ASSIGN_(CLEW_CONCAT(clew_result_, __LINE__), target, expression)
#define CLEW_ASSIGN_(result, target, expression) \
  auto result = (expression);                    \
  if (!result.ok()) return result.error();       \
  target = std::move(result).value()

}  // namespace clew
