#include "sim/groups/ledger.h"

#include <utility>

#include "base/check.h"
#include "base/varint.h"

namespace clew::sim::groups {

using check::Kind;
using check::Output;
using check::Workload;

namespace {

// answer = flags:u8 [value:bytes] number:zigzag count values:bytes* count (account:bytes balance:zigzag)*
constexpr uint8_t kApplied = 1, kHasValue = 2, kChanged = 4;

std::string encode_answer(const Output& output, bool changed = false) {
  std::string out;
  out.push_back(
      static_cast<char>((output.applied ? kApplied : 0) | (output.value ? kHasValue : 0) | (changed ? kChanged : 0)));
  if (output.value) append_bytes(out, *output.value);
  append_varint(out, zigzag(output.number));
  append_varint(out, output.values.size());
  for (const std::string& value : output.values) append_bytes(out, value);
  append_varint(out, output.balances.size());
  for (const auto& [name, balance] : output.balances) {
    append_bytes(out, name);
    append_varint(out, zigzag(balance));
  }
  return out;
}

void append_numbers(std::string& out, const std::map<std::string, int64_t>& numbers) {
  append_varint(out, numbers.size());
  for (const auto& [key, value] : numbers) {
    append_bytes(out, key);
    append_varint(out, zigzag(value));
  }
}

Hash128 chained(const Hash128& before, std::string_view value) {
  const Hash128 one = stable_hash128(value);
  return {mix64(before.lo, one.lo), mix64(before.hi, one.hi)};
}

Hash128 part(char prefix, const std::string& key, const Hash128& of) {
  const Hash128 name = stable_hash128(prefix + key);
  return {mix64(name.lo, of.lo), mix64(name.hi, of.hi)};
}

}  // namespace

std::string account(int number) { return "a" + std::to_string(number); }

std::string encode(const LedgerCommand& command) {
  std::string out;
  out.push_back(static_cast<char>(command.workload));
  out.push_back(static_cast<char>(command.kind));
  append_varint(out, command.number);
  append_bytes(out, command.key);
  append_bytes(out, command.input.value);
  out.push_back(command.input.expected ? 1 : 0);
  append_bytes(out, command.input.expected.value_or(""));
  append_varint(out, zigzag(command.input.amount));
  append_bytes(out, command.input.target);
  return out;
}

std::string encode_query(Workload workload, std::string_view key) {
  std::string out(1, static_cast<char>(workload));
  out += key;
  return out;
}

Output decode_answer(std::string_view bytes) {
  Output output;
  ByteReader in(bytes);
  const auto flags = in.fixed<uint8_t>();
  output.applied = (flags & kApplied) != 0;
  if ((flags & kHasValue) != 0) output.value = std::string(in.prefixed_bytes());
  output.number = in.zigzag_varint();
  for (uint64_t n = in.varint(); n > 0 && in.ok(); --n) output.values.emplace_back(in.prefixed_bytes());
  for (uint64_t n = in.varint(); n > 0 && in.ok(); --n) {
    std::string name(in.prefixed_bytes());
    output.balances[std::move(name)] = in.zigzag_varint();
  }
  return output;
}

bool changed_something(std::string_view answer) {
  return !answer.empty() && (static_cast<uint8_t>(answer[0]) & kChanged) != 0;
}

Ledger::Ledger(bool loses_appends) : loses_appends_(loses_appends) {
  for (int i = 0; i < kAccounts; ++i) set_number(bank_, 'b', account(i), kInitialBalance);
}

void Ledger::count(Hash128 of, bool add) {
  digest_lo_ += add ? of.lo : 0 - of.lo;
  digest_hi_ += add ? of.hi : 0 - of.hi;
}

void Ledger::set_register(const std::string& key, const std::string* value) {
  const auto found = registers_.find(key);
  if (found != registers_.end()) {
    count(part('r', key, stable_hash128(found->second)), false);
    registers_.erase(found);
  }
  if (value == nullptr) return;
  count(part('r', key, stable_hash128(*value)), true);
  registers_[key] = *value;
}

void Ledger::set_number(std::map<std::string, int64_t>& numbers, char prefix, const std::string& key, int64_t value) {
  const auto hash = [](int64_t number) {
    const auto bits = static_cast<uint64_t>(number);
    return Hash128{mix64(bits, 1), mix64(bits, 2)};
  };
  const auto [found, fresh] = numbers.try_emplace(key, value);
  if (!fresh) count(part(prefix, key, hash(found->second)), false);
  found->second = value;
  count(part(prefix, key, hash(value)), true);
}

std::string Ledger::apply(const consensus::Applied& at, std::string_view command) {
  executed_ = at.position;
  ByteReader in(command);
  const auto workload = static_cast<Workload>(in.fixed<uint8_t>());
  const auto kind = static_cast<Kind>(in.fixed<uint8_t>());
  const uint64_t number = in.varint();
  const std::string key(in.prefixed_bytes());
  const std::string value(in.prefixed_bytes());
  const bool has_expected = in.fixed<uint8_t>() != 0;
  const std::string expected(in.prefixed_bytes());
  const int64_t amount = in.zigzag_varint();
  const std::string target(in.prefixed_bytes());
  Output output;
  const Hash128 before = digest();
  if (!in.ok() || !belongs(kind, workload)) {
    output.applied = false;
    return encode_answer(output);
  }
  switch (kind) {
    case Kind::kWrite:
      set_register(key, &value);
      break;
    case Kind::kDelete:
      set_register(key, nullptr);
      break;
    case Kind::kCas: {
      const auto found = registers_.find(key);
      output.applied =
          has_expected ? found != registers_.end() && found->second == expected : found == registers_.end();
      if (output.applied) set_register(key, &value);
      break;
    }
    case Kind::kAppend: {
      if (loses_appends_ && mix64(number, 1) % 32 == 0) break;
      const auto [list, fresh] = lists_.try_emplace(key);
      if (!fresh) count(part('l', key, list->second.hash), false);
      list->second.values.push_back(value);
      list->second.hash = chained(list->second.hash, value);
      count(part('l', key, list->second.hash), true);
      break;
    }
    case Kind::kAdd: {
      const auto found = counters_.find(key);
      set_number(counters_, 'c', key, (found == counters_.end() ? 0 : found->second) + amount);
      break;
    }
    case Kind::kTransfer:
      output.applied = bank_.contains(key) && bank_.contains(target) && bank_.at(key) >= amount;
      if (output.applied && key != target) {
        set_number(bank_, 'b', key, bank_.at(key) - amount);
        set_number(bank_, 'b', target, bank_.at(target) + amount);
      }
      break;
    default:
      output.applied = false;
  }
  return encode_answer(output, !(digest() == before));
}

std::string Ledger::query(std::string_view request) const {
  Output output;
  if (request.empty()) return encode_answer(output);
  const std::string key(request.substr(1));
  switch (static_cast<Workload>(request[0])) {
    case Workload::kRegister:
      if (const auto found = registers_.find(key); found != registers_.end()) output.value = found->second;
      break;
    case Workload::kList:
      if (const auto found = lists_.find(key); found != lists_.end()) output.values = found->second.values;
      break;
    case Workload::kCounter:
      if (const auto found = counters_.find(key); found != counters_.end()) output.number = found->second;
      break;
    case Workload::kBank:
      output.balances = bank_;
      break;
    case Workload::kSet:
      break;
  }
  return encode_answer(output);
}

UniqueFunction<Status(consensus::SnapshotSink&)> Ledger::freeze() {
  std::string out;
  append_varint(out, executed_);
  append_varint(out, registers_.size());
  for (const auto& [key, value] : registers_) {
    append_bytes(out, key);
    append_bytes(out, value);
  }
  append_varint(out, lists_.size());
  for (const auto& [key, list] : lists_) {
    append_bytes(out, key);
    append_varint(out, list.values.size());
    for (const std::string& value : list.values) append_bytes(out, value);
  }
  append_numbers(out, counters_);
  append_numbers(out, bank_);
  return [out = std::move(out)](consensus::SnapshotSink& sink) { return sink.write(out); };
}

Status Ledger::restore(consensus::SnapshotSource& source) {
  std::string bytes;
  while (true) {
    CLEW_ASSIGN(const std::string_view more, source.read());
    if (more.empty()) break;
    bytes.append(more);
  }
  registers_.clear();
  lists_.clear();
  counters_.clear();
  bank_.clear();
  digest_lo_ = digest_hi_ = 0;
  ByteReader in(bytes);
  executed_ = in.varint();
  for (uint64_t n = in.varint(); n > 0 && in.ok(); --n) {
    const std::string key(in.prefixed_bytes());
    const std::string value(in.prefixed_bytes());
    set_register(key, &value);
  }
  for (uint64_t n = in.varint(); n > 0 && in.ok(); --n) {
    const std::string key(in.prefixed_bytes());
    List& list = lists_[key];
    for (uint64_t values = in.varint(); values > 0 && in.ok(); --values) {
      const std::string_view value = in.prefixed_bytes();
      list.values.emplace_back(value);
      list.hash = chained(list.hash, value);
    }
    count(part('l', key, list.hash), true);
  }
  for (auto [numbers, prefix] : {std::pair(&counters_, 'c'), std::pair(&bank_, 'b')}) {
    for (uint64_t n = in.varint(); n > 0 && in.ok(); --n) {
      const std::string key(in.prefixed_bytes());
      set_number(*numbers, prefix, key, in.zigzag_varint());
    }
  }
  if (!in.ok() || !in.at_end()) return Error{Code::kDataLoss, "a ledger's snapshot makes no sense"};
  return {};
}

}  // namespace clew::sim::groups
