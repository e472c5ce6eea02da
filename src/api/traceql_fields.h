// The intrinsics of TraceQL, as words and as fields of the store, and which literals each is compared with. Pure; any
// thread.
//
//   name kind status statusMessage duration rootName rootServiceName traceDuration nestedSetParent, and with colons
//   span:name span:kind span:status span:statusMessage span:duration trace:duration trace:rootName trace:rootService
//   event:name (event.name) instrumentation:name (scope.name)
#pragma once

#include <optional>
#include <string_view>

#include "store/query.h"

namespace clew::api {

std::optional<store::Field> intrinsic_field(std::string_view word);
// Whether the word is a field of TraceQL that this store cannot ask.
bool is_unsupported_field(std::string_view word);

bool is_number_field(store::Field field);  // a duration
bool is_text_field(store::Field field);    // a text that every span has, if only an empty one

// `nestedSetParent op number` as a question after root spans: true, only they hold it; false, only others do; nothing
// when the answer depends on places in the tree, which are not kept.
std::optional<bool> asks_for_root(store::Op op, int64_t number);

}  // namespace clew::api
