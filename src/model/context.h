// Resource and scope entries of a dictionary, read. A resource entry is the bytes of a ResourceSpans message without
// its scope_spans (fields 1 resource, 3 schema_url, unknown ones); a scope entry is a ScopeSpans message without its
// spans (1 scope, 3 schema_url, unknown ones). Everything read borrows from the entry.
//
// Lenient: what does not parse is left out, and the function says so; `raw` always holds the whole entry. Not for the
// ingest path: it reads an entry once, when the dictionary adds it. Pure; any thread; O(bytes).
#pragma once

#include <string_view>

#include "model/span.h"

namespace clew::model {

bool read_resource(std::string_view entry, Resource& out);  // false: malformed somewhere
bool read_scope(std::string_view entry, Scope& out);

// Where the resource's clock ticks; "" when nothing says so. Dictionary::host_name has the order of keys.
std::string_view host_name_of(const Resource& resource);
// Only the two names that every span needs.
void read_resource_names(std::string_view entry, std::string_view& service_name, std::string_view& host_name);

}  // namespace clew::model
