#include "model/context.h"

#include "model/any_value.h"
#include "model/wire.h"

namespace clew::model {
namespace {

bool add_attribute(std::string_view key_value, std::vector<Attribute>& out) {
  Attribute attribute;
  if (!read_key_value(key_value, attribute)) return false;
  out.push_back(attribute);
  return true;
}

bool read_resource_message(std::string_view message, Resource& out) {
  WireReader reader(message);
  WireField field;
  bool whole = true;
  while (reader.next(field)) {
    if (field.number == 1 && field.type == WireType::kBytes) {
      whole &= add_attribute(field.bytes, out.attributes);
    } else if (field.number == 2 && field.type == WireType::kVarint) {
      out.dropped_attributes = static_cast<uint32_t>(field.value);
    } else if (field.number <= 2) {
      whole = false;
    }
  }
  return whole && reader.ok();
}

bool read_scope_message(std::string_view message, Scope& out) {
  WireReader reader(message);
  WireField field;
  bool whole = true;
  while (reader.next(field)) {
    const bool text = field.type == WireType::kBytes;
    if (field.number == 1 && text) {
      out.name = field.bytes;
    } else if (field.number == 2 && text) {
      out.version = field.bytes;
    } else if (field.number == 3 && text) {
      whole &= add_attribute(field.bytes, out.attributes);
    } else if (field.number == 4 && field.type == WireType::kVarint) {
      out.dropped_attributes = static_cast<uint32_t>(field.value);
    } else if (field.number <= 4) {
      whole = false;
    }
  }
  return whole && reader.ok();
}

}  // namespace

bool read_resource(std::string_view entry, Resource& out) {
  out = Resource{};
  out.raw = entry;
  WireReader reader(entry);
  WireField field;
  bool whole = true;
  while (reader.next(field)) {
    if (field.number == 1 && field.type == WireType::kBytes) {
      whole &= read_resource_message(field.bytes, out);
    } else if (field.number == 3 && field.type == WireType::kBytes) {
      out.schema_url = field.bytes;
    } else if (field.number == 1 || field.number == 3) {
      whole = false;
    }
  }
  for (const Attribute& attribute : out.attributes) {
    if (attribute.value.type == ValueType::kString && attribute.key == "service.name") {
      out.service_name = attribute.value.bytes;
      break;
    }
  }
  return whole && reader.ok();
}

bool read_scope(std::string_view entry, Scope& out) {
  out = Scope{};
  out.raw = entry;
  WireReader reader(entry);
  WireField field;
  bool whole = true;
  while (reader.next(field)) {
    if (field.number == 1 && field.type == WireType::kBytes) {
      whole &= read_scope_message(field.bytes, out);
    } else if (field.number == 3 && field.type == WireType::kBytes) {
      out.schema_url = field.bytes;
    } else if (field.number == 1 || field.number == 3) {
      whole = false;
    }
  }
  return whole && reader.ok();
}

std::string_view host_name_of(const Resource& resource) {
  constexpr std::string_view kHostKeys[] = {"host.name", "k8s.pod.name", "service.instance.id", "service.name"};
  std::string_view host;
  size_t best = std::size(kHostKeys);
  for (const Attribute& attribute : resource.attributes) {
    if (attribute.value.type != ValueType::kString || attribute.value.bytes.empty()) continue;
    for (size_t i = 0; i < best; ++i) {
      if (attribute.key != kHostKeys[i]) continue;
      best = i;
      host = attribute.value.bytes;
    }
  }
  return host;
}

void read_resource_names(std::string_view entry, std::string_view& service_name, std::string_view& host_name) {
  Resource resource;
  read_resource(entry, resource);
  service_name = resource.service_name;
  host_name = host_name_of(resource);
}

}  // namespace clew::model
