// SegmentView's lists for completion: from the segments' names and postings, no span is read.
#include <algorithm>
#include <bit>
#include <charconv>
#include <unordered_set>

#include "model/context.h"
#include "store/segment_view.h"

namespace clew::store {
namespace {

void finish_vocabulary(std::vector<std::string>& values, Vocabulary& out) {
  values.insert(values.end(), out.values.begin(), out.values.end());
  out.truncated = out.wanted.bound(values) || out.truncated;
  out.values = std::move(values);
  values.clear();
}

// Whether a code of a list occurs among the tenant's blocks.
class TenantFilter {
 public:
  TenantFilter(const Segment& segment, const SegmentNames& names, model::TenantId tenant)
      : names_(names),
        range_(segment.tenant_range(tenant)),
        all_(segment.tenants().size() == 1),
        blocks_(static_cast<uint32_t>(segment.blocks().size())) {}
  bool present() const { return range_.end_block > range_.first_block; }
  bool has(uint32_t list, uint32_t code) const {
    if (names_.posting(list, code).spans == 0) return false;
    if (all_) return true;
    BlockSet blocks(blocks_);
    names_.add_blocks(list, code, blocks);
    blocks.keep_range(range_.first_block, range_.end_block);
    return blocks.count() > 0;
  }

 private:
  const SegmentNames& names_;
  Segment::Range range_;
  bool all_;
  uint32_t blocks_;
};

// Calls visit(segment, names, filter) for every segment that holds the tenant, but for those with damaged names.
template <typename Visit>
Status each_segment(const std::vector<std::shared_ptr<const Segment>>& segments, model::TenantId tenant,
                    Visit&& visit) {
  for (const auto& segment : segments) {
    if (segment->tenant_index(tenant) < 0) continue;
    const auto names = segment->names();
    if (!names.ok()) {
      if (names.error().code != Code::kDataLoss) return names.error();
      continue;  // reported
    }
    const TenantFilter filter(*segment, **names, tenant);
    if (filter.present()) visit(*segment, **names, filter);
  }
  return {};
}

}  // namespace

Status SegmentView::services(model::TenantId tenant, int64_t from_ns, int64_t to_ns, Vocabulary& out) const {
  std::vector<std::string> values;
  const auto visit = [&](const Segment& segment, const SegmentNames& names, const TenantFilter& filter) {
    if (segment.info().max_start_ns < from_ns || segment.info().min_start_ns >= to_ns) return;
    std::unordered_set<uint32_t> seen;
    for (uint32_t c = 0; c < names.contexts().size(); ++c) {
      const uint32_t service = names.contexts()[c].service;
      if (seen.contains(service) || !filter.has(SegmentNames::kContextList, c)) continue;
      seen.insert(service);
      const std::string_view name = names.string(service);
      if (!name.empty() && out.wanted.fits(name)) values.emplace_back(name);
    }
  };
  CLEW_TRY(each_segment(segments_, tenant, visit));
  finish_vocabulary(values, out);
  return {};
}

Status SegmentView::operations(model::TenantId tenant, std::string_view service, Vocabulary& names,
                               std::vector<uint8_t>& kinds) const {
  std::vector<std::pair<std::string, uint8_t>> pairs;
  for (size_t i = 0; i < names.values.size() && i < kinds.size(); ++i) pairs.emplace_back(names.values[i], kinds[i]);
  const auto visit = [&](const Segment& segment, const SegmentNames& known, const TenantFilter&) {
    const auto index = static_cast<uint32_t>(segment.tenant_index(tenant));
    for (const SegmentNames::ServiceOperation& o : known.service_operations()) {
      if (o.tenant != index || (!service.empty() && known.string(o.service) != service)) continue;
      if (names.wanted.fits(known.string(o.name))) pairs.emplace_back(known.string(o.name), o.kind);
    }
  };
  CLEW_TRY(each_segment(segments_, tenant, visit));
  std::sort(pairs.begin(), pairs.end(), [&](const auto& a, const auto& b) {
    return a.first == b.first ? a.second < b.second : names.wanted.before(a.first, b.first);
  });
  pairs.erase(std::unique(pairs.begin(), pairs.end()), pairs.end());
  if (pairs.size() > names.wanted.most) {
    pairs.resize(names.wanted.most);
    names.truncated = true;
  }
  names.values.clear();
  kinds.clear();
  for (auto& [name, kind] : pairs) {
    names.values.push_back(std::move(name));
    kinds.push_back(kind);
  }
  return {};
}

Status SegmentView::keys(model::TenantId tenant, Field scope, Vocabulary& out) const {
  std::vector<std::string> values;
  const auto visit = [&](const Segment&, const SegmentNames& names, const TenantFilter& filter) {
    if (scope == Field::kAttribute || scope == Field::kAny) {
      std::unordered_set<uint32_t> seen;
      for (uint32_t o = 0; o < names.operations().size(); ++o) {
        if (!filter.has(SegmentNames::kOperationList, o)) continue;
        for (const uint32_t column : names.columns_of(o)) {
          const uint32_t key = names.columns()[column].key;
          if (key != kNoKey && seen.insert(key).second && out.wanted.fits(names.string(key)))
            values.emplace_back(names.string(key));
        }
      }
    }
    if (scope == Field::kResource || scope == Field::kAny) {
      std::unordered_set<uint32_t> seen;
      for (uint32_t c = 0; c < names.contexts().size(); ++c) {
        if (!filter.has(SegmentNames::kContextList, c) || !seen.insert(names.contexts()[c].resource).second) continue;
        model::Resource resource;
        (void)model::read_resource(names.dictionary().text(model::EntryKind::kResource, names.contexts()[c].resource),
                                   resource);
        for (const model::Attribute& attribute : resource.attributes) {
          if (out.wanted.fits(attribute.key)) values.emplace_back(attribute.key);
        }
        if (values.size() > out.wanted.most * 4) finish_vocabulary(values, out);
      }
    }
  };
  CLEW_TRY(each_segment(segments_, tenant, visit));
  finish_vocabulary(values, out);
  return {};
}

Status SegmentView::values(model::TenantId tenant, Field field, std::string_view key, Vocabulary& out) const {
  std::vector<std::string> values;
  const bool attributes = field == Field::kAttribute || field == Field::kAny;
  const bool resources =
      field == Field::kResource || field == Field::kAny || field == Field::kService || field == Field::kScopeName;
  const auto visit = [&](const Segment&, const SegmentNames& names, const TenantFilter& filter) {
    const auto add = [&](std::string_view text) {
      if (!text.empty() && out.wanted.fits(text)) values.emplace_back(text);
      if (values.size() > out.wanted.most * 4) finish_vocabulary(values, out);
    };
    if (field == Field::kName) {
      for (uint32_t o = 0; o < names.operations().size(); ++o) {
        if (names.operations()[o].name != 0 && filter.has(SegmentNames::kOperationList, o)) {
          add(names.string(names.operations()[o].name - 1));
        }
      }
    }
    const auto add_column = [&](uint32_t c) {
      const Column& column = names.columns()[c];
      const uint32_t list = SegmentNames::kFirstColumnList + c;
      if (column.overflow || filter.has(list, 0)) out.truncated = true;  // some stand in the rows only
      for (uint32_t code = 1; code < column.values.size(); ++code) {
        const ColumnValue& value = column.values[code];
        if (value.mode == model::StrMode::kTemplate) {
          out.truncated = true;
          continue;
        }
        if (!filter.has(list, code)) continue;
        switch (column.type) {
          case model::ValueType::kString:
            add(names.string(static_cast<uint32_t>(value.value)));
            break;
          case model::ValueType::kBool:
            add(value.value != 0 ? "true" : "false");
            break;
          case model::ValueType::kInt:
            add(std::to_string(static_cast<int64_t>(value.value)));
            break;
          case model::ValueType::kDouble: {
            char text[32];
            const auto end = std::to_chars(text, text + sizeof(text), std::bit_cast<double>(value.value)).ptr;
            add({text, static_cast<size_t>(end - text)});
            break;
          }
          default:
            break;
        }
      }
    };
    if (attributes) {
      for (const uint32_t c : names.columns_of_key(key)) add_column(c);
    }
    if (field == Field::kEventName) add_column(kColumnEvents);
    if (field == Field::kStatusMessage) add_column(kColumnMessages);
    if (!resources) return;
    for (uint32_t c = 0; c < names.contexts().size(); ++c) {
      if (!filter.has(SegmentNames::kContextList, c)) continue;
      const SegmentNames::ContextNames& context = names.contexts()[c];
      if (field == Field::kService) {
        add(names.string(context.service));
      } else if (field == Field::kScopeName) {
        model::Scope scope;
        (void)model::read_scope(names.dictionary().text(model::EntryKind::kScope, context.scope), scope);
        add(scope.name);
      } else {
        model::Resource resource;
        (void)model::read_resource(names.dictionary().text(model::EntryKind::kResource, context.resource), resource);
        for (const model::Attribute& attribute : resource.attributes) {
          if (attribute.key != key) continue;
          if (attribute.value.type == model::ValueType::kString) add(attribute.value.bytes);
          if (attribute.value.type == model::ValueType::kInt) add(std::to_string(attribute.value.integer));
          if (attribute.value.type == model::ValueType::kBool) add(attribute.value.integer != 0 ? "true" : "false");
        }
      }
    }
  };
  CLEW_TRY(each_segment(segments_, tenant, visit));
  finish_vocabulary(values, out);
  return {};
}

}  // namespace clew::store
