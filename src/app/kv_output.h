// How keys, values and answers of the strong spaces are written: for people, and as JSON.
#pragma once

#include <string>
#include <string_view>

#include "api/json_writer.h"
#include "kv/command.h"

namespace clew::app {

// "name":"text", or "name_base64":"…" of bytes that are no UTF-8.
void write_bytes(api::JsonWriter& json, std::string_view name, std::string_view bytes);
void write_key_value(api::JsonWriter& json, const kv::KeyValue& kv);
// Any answer, as one JSON object in `out`.
void write_response(api::JsonWriter& json, const kv::Response& response);
// One line that drives no terminal: control characters, and bytes that are no UTF-8, as \x1b.
std::string readable_bytes(std::string_view bytes);
std::string lease_text(kv::LeaseId id);  // "0x5d2f" as etcd prints it: hexadecimal
// Decimal, or hexadecimal behind 0x.
bool parse_lease_id(std::string_view text, kv::LeaseId& id);

}  // namespace clew::app
