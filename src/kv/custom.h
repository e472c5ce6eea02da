// Custom commands: deterministic changes of the store, written in C++, named and versioned, proposed like any other
// command and applied on every node at the same place of the log.
//
// A function may depend on its arguments, the state it reads and the replicated time it is given; never on a clock, a
// random device, an address or the order of a hash map. It sees its own writes. Answering an error undoes them all.
// What a name and version does never changes: another behaviour is another version, registered beside the first while
// the log may still hold it. All members must have registered the same functions before one is used: they compare
// fingerprint() when they meet, because a member without a function would answer, and so become, something else.
//
// Registered at start-up, then constant. The functions run on the replica's loop.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/hash.h"
#include "base/status.h"
#include "kv/types.h"

namespace clew::kv {

class CustomContext {
 public:
  virtual ~CustomContext() = default;
  virtual int64_t time_ns() const = 0;  // replicated time
  virtual std::optional<std::string> get(std::string_view key) const = 0;
  // At most `limit` keys of the range and their values, ascending.
  virtual std::vector<std::pair<std::string, std::string>> range(KeyRange keys, size_t limit) const = 0;
  // Puts keep the key's lease. An empty key is refused when the function returns.
  virtual void put(std::string_view key, std::string_view value) = 0;
  virtual void erase(std::string_view key) = 0;
};

using CustomFunction = std::function<Result<std::string>(CustomContext& context, std::string_view arguments)>;

class CustomRegistry {
 public:
  // CHECKs that the name is not empty and that the pair is new.
  void add(std::string name, uint32_t version, CustomFunction function);
  const CustomFunction* find(std::string_view name, uint32_t version) const;
  Hash128 fingerprint() const;  // of names and versions

 private:
  std::map<std::pair<std::string, uint32_t>, CustomFunction, std::less<>> functions_;
};

}  // namespace clew::kv
