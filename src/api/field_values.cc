#include "api/field_values.h"

#include "api/traceql.h"

namespace clew::api {

using store::Field;

Result<FieldValues> field_values(std::string_view name) {
  FieldValues values;
  auto parsed = parse_field_name(name);
  if (!parsed.ok()) return parsed.error();
  values.field = parsed->field;
  values.key = std::move(parsed->key);
  switch (values.field) {
    case Field::kStatus:
      values.fixed = {"error", "ok", "unset"};
      break;
    case Field::kKind:
      values.fixed = {"client", "consumer", "internal", "producer", "server", "unspecified"};
      break;
    case Field::kDuration:
    case Field::kTraceDuration:
    case Field::kIsRoot:
      values.fixed.emplace();  // any; there is nothing to choose from
      break;
    case Field::kResource:
    case Field::kAny:
      if (values.key == "service.name") {
        values.field = Field::kService;
        values.key.clear();
      }
      break;
    default:
      break;
  }
  return values;
}

}  // namespace clew::api
