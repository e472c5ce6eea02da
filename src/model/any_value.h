// OTLP KeyValue and AnyValue as Clew understands them: the one place that says which type an attribute has.
//
// A KeyValue is plain (kString ... kComplex) when its key and its value come at most once, the value holds at most one
// alternative and nothing unknown is inside. Anything else is kRaw: the KeyValue's bytes are kept whole, so that
// nothing is lost, and only its key is understood. Equal by definition, because proto3 cannot tell or OTLP does not: an
// absent key and the empty key; a KeyValue without a value and one with an empty AnyValue (both kEmpty: "considered to
// be empty"); a bool sent as 1 and as 2; overlong varints. Pure; any thread; O(bytes). Borrows from its input.
#pragma once

#include <cstdint>
#include <string_view>

#include "model/span.h"

namespace clew::model {

// False when the bytes are not protobuf (then `out` is undefined). Does not look into arrays, lists and kRaw.
bool read_key_value(std::string_view key_value, Attribute& out);

// Of an AnyValue message, as kComplex keeps it, or as an array's element. False when malformed, or unusual inside (the
// value then is kRaw with the AnyValue's bytes).
bool read_any_value(std::string_view any_value, Value& out);

// Whether the nested message parses all the way down, with at most `max_depth` levels of arrays and lists.
// `valid_text` is asked about every string and key. Recursion is bounded by max_depth.
bool check_any_value(std::string_view any_value, uint32_t max_depth, bool (*valid_text)(std::string_view));
bool check_key_value(std::string_view key_value, uint32_t max_depth, bool (*valid_text)(std::string_view));

}  // namespace clew::model
