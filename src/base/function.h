// UniqueFunction<R(Args...)>: a move-only std::function, for tasks and completions that own what they capture.
// Called at most as often as its owner likes; empty after a move. One thread at a time.
#pragma once

#include <concepts>
#include <cstddef>
#include <type_traits>
#include <utility>

#include "base/check.h"

namespace clew {

template <typename Signature>
class UniqueFunction;

// Half the program's source files make dozens of these, one type a lambda: what each costs the compiler counts. Hence a
// plain pointer where a unique_ptr, its tuple and its conversions would be instantiated for each.
template <typename R, typename... Args>
class UniqueFunction<R(Args...)> {
 public:
  UniqueFunction() = default;
  UniqueFunction(std::nullptr_t) {}  // NOLINT(google-explicit-constructor): as std::function has it
  template <typename F>
  requires(!std::same_as<std::decay_t<F>, UniqueFunction> &&
           requires(std::decay_t<F> & f, Args&&... args) { static_cast<R>(f(static_cast<Args&&>(args)...)); })
      UniqueFunction(F&& function)  // NOLINT(*-explicit-constructor,*-reference-overload): constrained
      : target_(new Holder<std::decay_t<F>>(std::forward<F>(function))) {}
  UniqueFunction(UniqueFunction&& other) noexcept : target_(std::exchange(other.target_, nullptr)) {}
  UniqueFunction& operator=(UniqueFunction&& other) noexcept {
    UniqueFunction taken(std::move(other));
    std::swap(target_, taken.target_);
    return *this;
  }
  ~UniqueFunction() { delete target_; }

  explicit operator bool() const { return target_ != nullptr; }
  R operator()(Args... args) {
    CHECK(target_ != nullptr);
    return target_->call(static_cast<Args&&>(args)...);
  }

 private:
  struct Base {
    virtual ~Base() = default;
    virtual R call(Args... args) = 0;
  };
  template <typename F>
  struct Holder final : Base {
    explicit Holder(const F& f) : function(f) {}
    explicit Holder(F&& f) : function(static_cast<F&&>(f)) {}
    R call(Args... args) override { return static_cast<R>(function(static_cast<Args&&>(args)...)); }
    F function;
  };
  Base* target_ = nullptr;  // owned
};

using Task = UniqueFunction<void()>;

}  // namespace clew
