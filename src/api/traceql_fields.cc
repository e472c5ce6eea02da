#include "api/traceql_fields.h"

#include <algorithm>
#include <array>
#include <cstdint>

namespace clew::api {

using store::Field;
using store::Op;

namespace {

struct Intrinsic {
  std::string_view name;
  Field field;
};
constexpr std::array kIntrinsics = {
    Intrinsic{"name", Field::kName},
    Intrinsic{"kind", Field::kKind},
    Intrinsic{"status", Field::kStatus},
    Intrinsic{"statusMessage", Field::kStatusMessage},
    Intrinsic{"duration", Field::kDuration},
    Intrinsic{"rootName", Field::kRootName},
    Intrinsic{"rootServiceName", Field::kRootService},
    Intrinsic{"traceDuration", Field::kTraceDuration},
    Intrinsic{"nestedSetParent", Field::kIsRoot},
    Intrinsic{"span:name", Field::kName},
    Intrinsic{"span:kind", Field::kKind},
    Intrinsic{"span:status", Field::kStatus},
    Intrinsic{"span:statusMessage", Field::kStatusMessage},
    Intrinsic{"span:duration", Field::kDuration},
    Intrinsic{"trace:duration", Field::kTraceDuration},
    Intrinsic{"trace:rootName", Field::kRootName},
    Intrinsic{"trace:rootService", Field::kRootService},
    Intrinsic{"trace:rootServiceName", Field::kRootService},
    Intrinsic{"event:name", Field::kEventName},
    Intrinsic{"event.name", Field::kEventName},
    Intrinsic{"instrumentation:name", Field::kScopeName},
    Intrinsic{"scope:name", Field::kScopeName},
    Intrinsic{"scope.name", Field::kScopeName},
};

constexpr std::array<std::string_view, 11> kUnsupported = {
    "span:id",      "span:parentID", "span:childCount",         "trace:id",      "event:timeSinceStart",
    "link:traceID", "link:spanID",   "instrumentation:version", "nestedSetLeft", "nestedSetRight",
    "childCount"};

}  // namespace

std::optional<Field> intrinsic_field(std::string_view word) {
  const auto found =
      std::find_if(kIntrinsics.begin(), kIntrinsics.end(), [&](const Intrinsic& i) { return i.name == word; });
  return found == kIntrinsics.end() ? std::nullopt : std::optional<Field>(found->field);
}

bool is_unsupported_field(std::string_view word) {
  return std::find(kUnsupported.begin(), kUnsupported.end(), word) != kUnsupported.end();
}

bool is_number_field(Field field) { return field == Field::kDuration || field == Field::kTraceDuration; }

bool is_text_field(Field field) {
  switch (field) {
    case Field::kName:
    case Field::kService:
    case Field::kStatusMessage:
    case Field::kRootName:
    case Field::kRootService:
    case Field::kScopeName:
    case Field::kEventName:
      return true;
    default:
      return false;
  }
}

std::optional<bool> asks_for_root(Op op, int64_t number) {
  constexpr int64_t kRoot = -1;
  switch (op) {
    case Op::kEq:
      return number == kRoot ? std::optional<bool>(true) : std::nullopt;
    case Op::kNe:
      return number == kRoot ? std::optional<bool>(false) : std::nullopt;
    case Op::kLt:
      return number == kRoot + 1 ? std::optional<bool>(true) : std::nullopt;
    case Op::kLe:
      return number == kRoot ? std::optional<bool>(true) : std::nullopt;
    case Op::kGt:
      return number == kRoot ? std::optional<bool>(false) : std::nullopt;
    case Op::kGe:
      return number == kRoot + 1 ? std::optional<bool>(false) : std::nullopt;
    default:
      return std::nullopt;
  }
}

}  // namespace clew::api
