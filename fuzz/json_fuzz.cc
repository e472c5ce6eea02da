// OTLP JSON: any bytes are read or refused; what is read is protobuf that parses all the way down, never larger than
// the text explains, and reading it again by the same reader gives the same bytes.
#include <cstdint>
#include <cstdlib>

#include "model/wire.h"
#include "otlp/json.h"
#include "otlp/json_schema.h"

namespace {

using clew::model::WireField;
using clew::model::WireReader;
using clew::model::WireType;
using clew::otlp::FieldKind;
using clew::otlp::JsonField;
using clew::otlp::MessageType;

void require(bool condition) {
  if (!condition) std::abort();
}

// Every field known to the schema, of its wire type, in ascending order.
void check_message(MessageType type, std::string_view bytes) {
  WireReader reader(bytes);
  uint32_t last = 0;
  for (WireField field; reader.next(field);) {
    const JsonField* spec = nullptr;
    for (const JsonField& candidate : clew::otlp::json_schema(type).fields) {
      if (candidate.number == field.number) spec = &candidate;
    }
    require(spec != nullptr);
    require(field.number > last || (field.number == last && spec->repeated));
    last = field.number;
    if (spec->kind == FieldKind::kMessage) {
      require(field.type == WireType::kBytes);
      check_message(spec->message, field.bytes);
    }
  }
  require(reader.ok());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static clew::otlp::JsonReader reader;
  static std::string out, again;
  const std::string_view json(reinterpret_cast<const char*>(data), size);
  const clew::Status status = reader.to_protobuf(json, {}, out);
  if (!status.ok()) {
    require(out.empty() && !status.message().empty());
    return 0;
  }
  require(out.size() <= size);
  check_message(MessageType::kRequest, out);
  require(reader.to_protobuf(json, {}, again).ok() && again == out);
  return 0;
}
