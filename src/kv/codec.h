// The archive behind command.h's codec: one list of fields for each value, walked by a Writer or a Reader, so that the
// two cannot disagree. Private to the codec's files. docs/format/kv.md has the grammar.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "base/hash.h"
#include "base/varint.h"
#include "kv/command.h"

namespace clew::kv {

class Writer {
 public:
  explicit Writer(std::string& out) : out_(out) {}

  void operator()(const std::string& bytes) { append_bytes(out_, bytes); }
  void operator()(const int64_t& v) { append_varint(out_, zigzag(v)); }
  void operator()(const uint64_t& v) { append_varint(out_, v); }
  void operator()(const uint32_t& v) { append_varint(out_, v); }
  void operator()(const LeaseId& id) { append_varint(out_, zigzag(number(id))); }
  void operator()(const Hash128& hash) {
    append_fixed(out_, hash.lo);
    append_fixed(out_, hash.hi);
  }
  template <typename... Bools>
  void flags(const Bools&... bits) {
    uint8_t byte = 0;
    int at = 0;
    ((byte = static_cast<uint8_t>(byte | (bits ? 1 : 0) << at++)), ...);
    out_.push_back(static_cast<char>(byte));
  }
  template <typename E>
  void choice(const E& value, E /*largest*/) {
    out_.push_back(static_cast<char>(value));
  }
  template <typename T>
  void list(const std::vector<T>& items) {
    append_varint(out_, items.size());
    for (const T& item : items) value(item);
  }
  template <typename T>
  void maybe(const std::optional<T>& item) {
    flags(item.has_value());
    if (item) value(*item);
  }
  template <typename T>
  void value(const T& item);
  template <typename... Ts>
  void one_of(const std::variant<Ts...>& item) {
    out_.push_back(static_cast<char>(item.index()));
    std::visit([&](const auto& chosen) { value(chosen); }, item);
  }

 private:
  std::string& out_;
};

// Over untrusted bytes: after the first failure nothing more is read, and the values are worthless.
class Reader {
 public:
  explicit Reader(std::string_view bytes) : in_(bytes) {}
  bool complete() const { return ok_ && in_.ok() && in_.at_end(); }
  bool ok() const { return ok_ && in_.ok(); }

  void operator()(std::string& bytes) { bytes = in_.prefixed_bytes(); }
  void operator()(int64_t& v) { v = in_.zigzag_varint(); }
  void operator()(uint64_t& v) { v = in_.varint(); }
  void operator()(uint32_t& v) {
    const uint64_t wide = in_.varint();
    if (wide > UINT32_MAX) ok_ = false;
    v = static_cast<uint32_t>(wide);
  }
  void operator()(LeaseId& id) { id = LeaseId{in_.zigzag_varint()}; }
  void operator()(Hash128& hash) {
    hash.lo = in_.fixed<uint64_t>();
    hash.hi = in_.fixed<uint64_t>();
  }
  template <typename... Bools>
  void flags(Bools&... bits) {
    auto byte = in_.fixed<uint8_t>();
    ((bits = (byte & 1) != 0, byte = static_cast<uint8_t>(byte >> 1)), ...);
    if (byte != 0) ok_ = false;
  }
  template <typename E>
  void choice(E& value, E largest) {
    const auto byte = in_.fixed<uint8_t>();
    if (byte > static_cast<uint8_t>(largest)) {
      ok_ = false;
    } else {
      value = static_cast<E>(byte);
    }
  }
  // No room is reserved for what a length promises: the bytes must be there.
  template <typename T>
  void list(std::vector<T>& items) {
    const uint64_t count = in_.varint();
    if (count > in_.remaining()) ok_ = false;
    for (uint64_t i = 0; i < count && ok(); i++) value(items.emplace_back());
  }
  template <typename T>
  void maybe(std::optional<T>& item) {
    bool there = false;
    flags(there);
    if (there && ok()) value(item.emplace());
  }
  template <typename T>
  void value(T& item);
  template <typename... Ts>
  void one_of(std::variant<Ts...>& item) {
    const auto index = in_.fixed<uint8_t>();
    if (!ok() || !emplace(item, index, std::index_sequence_for<Ts...>())) ok_ = false;
  }

  void count_op() {
    if (++ops_ > kMaxDecodedOps) ok_ = false;
  }
  void enter_txn() {
    if (++depth_ > kMaxTxnDepth) ok_ = false;
  }
  void leave_txn() { depth_--; }

 private:
  template <typename Variant, size_t... I>
  bool emplace(Variant& item, size_t index, std::index_sequence<I...> /*all*/) {
    return ((index == I && (value(item.template emplace<I>()), true)) || ...);
  }

  ByteReader in_;
  bool ok_ = true;
  size_t ops_ = 0;
  int depth_ = 0;
};

}  // namespace clew::kv
