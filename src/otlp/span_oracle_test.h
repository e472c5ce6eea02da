// For tests: random spans as protobuf, and a second reading of span bytes that shares nothing with the decoder
// (protozero into model::Span), to compare what comes out of a row with what went in.
#pragma once

#include <bit>
#include <protozero/pbf_reader.hpp>
#include <protozero/pbf_writer.hpp>
#include <string>
#include <vector>

#include "base/random.h"
#include "model/span.h"

namespace clew::otlp::testing {

class RandomSpans {
 public:
  explicit RandomSpans(uint64_t seed) : random_(seed) {}

  // A valid Span message. `odd`: with unknown fields, repeated fields, unusual encodings.
  std::string span(bool odd) {
    std::string out;
    protozero::pbf_writer w(out);
    w.add_bytes(1, bytes(16));
    w.add_bytes(2, bytes(8));
    if (random_.one_in(3)) w.add_string(3, text());
    if (!random_.one_in(4)) w.add_bytes(4, random_.one_in(8) ? std::string() : bytes(8));
    if (!random_.one_in(10)) w.add_string(5, text());
    if (!random_.one_in(6)) w.add_enum(6, static_cast<int32_t>(random_.below(odd ? 8 : 6)));
    if (!random_.one_in(10)) w.add_fixed64(7, time());
    if (!random_.one_in(10)) w.add_fixed64(8, time());
    for (uint64_t n = random_.below(12); n > 0; --n) w.add_message(9, key_value(odd));
    if (random_.one_in(4)) w.add_uint32(10, static_cast<uint32_t>(random_.next()));
    for (uint64_t n = random_.one_in(2) ? random_.below(4) : 0; n > 0; --n) w.add_message(11, event(odd));
    if (random_.one_in(4)) w.add_uint32(12, static_cast<uint32_t>(random_.below(300)));
    for (uint64_t n = random_.one_in(3) ? random_.below(3) : 0; n > 0; --n) w.add_message(13, link(odd));
    if (random_.one_in(4)) w.add_uint32(14, static_cast<uint32_t>(random_.below(300)));
    if (!random_.one_in(3)) w.add_message(15, status());
    if (random_.one_in(3)) w.add_fixed32(16, static_cast<uint32_t>(random_.next()));
    if (odd && random_.one_in(3)) w.add_bytes(17 + static_cast<uint32_t>(random_.below(200)), bytes(random_.below(9)));
    if (odd && random_.one_in(5)) w.add_uint64(18, random_.next());
    if (odd && random_.one_in(5)) w.add_fixed32(99, 7);
    return out;
  }

  std::string text() {
    static constexpr const char* kTexts[] = {"",      "GET",    "checkout", "GET /api/v1/orders/{id}",
                                             "größe", "日本語", "a\tb"};
    switch (random_.below(6)) {
      case 0:
        return "/orders/" + std::to_string(random_.next());
      case 1:
        return std::string(random_.below(700), 'x');
      case 2: {
        std::string out;
        for (uint64_t n = random_.below(40); n > 0; --n)
          out.push_back("0123456789abcdef-/xyzG\x11\x12 "[random_.below(25)]);
        return out;
      }
      default:
        return kTexts[random_.below(std::size(kTexts))];
    }
  }

  std::string key_value(bool odd) {
    std::string out;
    protozero::pbf_writer w(out);
    if (odd && random_.one_in(10)) {
      if (random_.one_in(2)) w.add_message(2, any_value(3));
      w.add_string(1, "backwards");
      return out;
    }
    static constexpr const char* kKeys[] = {
        "http.method", "http.url", "user.id", "", "k", "a.rather.long.key.that.sdks.do.send"};
    w.add_string(1, random_.one_in(8) ? text() : kKeys[random_.below(std::size(kKeys))]);
    if (odd && random_.one_in(12)) w.add_string(1, "twice");
    if (!random_.one_in(12)) w.add_message(2, any_value(3));
    if (odd && random_.one_in(12)) w.add_message(2, any_value(1));
    if (odd && random_.one_in(12)) w.add_uint32(3, 5);
    return out;
  }

  std::string any_value(int depth) {
    std::string out;
    protozero::pbf_writer w(out);
    switch (random_.below(depth > 0 ? 10 : 7)) {
      case 0:
        break;
      case 1:
        w.add_bool(2, random_.one_in(2));
        break;
      case 2:
        w.add_int64(3, static_cast<int64_t>(random_.next() >> random_.below(64)));
        break;
      case 3:
        w.add_double(4, std::bit_cast<double>(random_.next()));
        break;
      case 4:
        w.add_bytes(7, bytes(random_.below(200)));
        break;
      case 7:
      case 8: {
        std::string list;
        protozero::pbf_writer l(list);
        for (uint64_t n = random_.below(4); n > 0; --n) l.add_message(1, any_value(depth - 1));
        w.add_message(5, list);
        break;
      }
      case 9: {
        std::string map;
        protozero::pbf_writer m(map);
        for (uint64_t n = random_.below(4); n > 0; --n) m.add_message(1, key_value(false));
        w.add_message(6, map);
        break;
      }
      default:
        w.add_string(1, text());
    }
    return out;
  }

  std::string bytes(size_t n) {
    std::string out;
    for (size_t i = 0; i < n; ++i) out.push_back(static_cast<char>(random_.next() | (i == 0 ? 1 : 0)));
    return out;
  }
  Generator& random() { return random_; }

 private:
  uint64_t time() { return random_.one_in(8) ? random_.next() : 1700000000000000000 + random_.below(1000000000); }

  std::string event(bool odd) {
    std::string out;
    protozero::pbf_writer w(out);
    if (!random_.one_in(8)) w.add_fixed64(1, time());
    if (!random_.one_in(8)) w.add_string(2, text());
    for (uint64_t n = random_.below(4); n > 0; --n) w.add_message(3, key_value(odd));
    if (random_.one_in(3)) w.add_uint32(4, static_cast<uint32_t>(random_.below(1000)));
    if (odd && random_.one_in(3)) w.add_bytes(9, bytes(3));
    return out;
  }

  std::string link(bool odd) {
    std::string out;
    protozero::pbf_writer w(out);
    if (!random_.one_in(8)) w.add_bytes(1, bytes(16));
    if (!random_.one_in(8)) w.add_bytes(2, bytes(8));
    if (random_.one_in(3)) w.add_string(3, text());
    for (uint64_t n = random_.below(4); n > 0; --n) w.add_message(4, key_value(odd));
    if (random_.one_in(3)) w.add_uint32(5, static_cast<uint32_t>(random_.below(1000)));
    if (random_.one_in(3)) w.add_fixed32(6, static_cast<uint32_t>(random_.next()));
    if (odd && random_.one_in(3)) w.add_bytes(9, bytes(3));
    return out;
  }

  std::string status() {
    std::string out;
    protozero::pbf_writer w(out);
    if (random_.one_in(2)) w.add_string(2, text());
    if (random_.one_in(2)) w.add_enum(3, static_cast<int32_t>(random_.below(3)));
    return out;
  }

  Generator random_;
};

inline std::string_view view_of(protozero::data_view v) { return {v.data(), v.size()}; }

inline model::Attribute oracle_attribute(std::string_view bytes) {
  model::Attribute out;
  int keys = 0, values = 0, alternatives = 0, strange = 0;
  protozero::pbf_reader kv(bytes.data(), bytes.size());
  while (kv.next()) {
    if (kv.tag() == 1) {
      out.key = view_of(kv.get_view());
      ++keys;
    } else if (kv.tag() == 2) {
      ++values;
      const std::string_view any = view_of(kv.get_view());
      protozero::pbf_reader value(any.data(), any.size());
      out.value = {};
      while (value.next()) {
        ++alternatives;
        switch (value.tag()) {
          case 1:
            out.value.type = model::ValueType::kString;
            out.value.bytes = view_of(value.get_view());
            break;
          case 2:
            out.value.type = model::ValueType::kBool;
            out.value.integer = value.get_bool();
            break;
          case 3:
            out.value.type = model::ValueType::kInt;
            out.value.integer = value.get_int64();
            break;
          case 4:
            out.value.type = model::ValueType::kDouble;
            out.value.real = value.get_double();
            break;
          case 5:
          case 6:
            out.value.type = model::ValueType::kComplex;
            out.value.bytes = any;
            value.skip();
            break;
          case 7:
            out.value.type = model::ValueType::kBytes;
            out.value.bytes = view_of(value.get_view());
            break;
          default:
            ++strange;
            value.skip();
        }
      }
    } else {
      ++strange;
      kv.skip();
    }
  }
  if (keys > 1 || values > 1 || alternatives > 1 || strange > 0) {
    out.value = {};
    out.value.type = model::ValueType::kRaw;
    out.value.bytes = bytes;
  }
  return out;
}

// Fills everything but resource and scope. Text borrowed from `bytes`; unknown fields are collected in `kept`.
inline model::Span oracle_span(std::string_view bytes, model::Arena& kept) {
  model::Span out;
  std::string unknown;
  protozero::pbf_reader r(bytes.data(), bytes.size());
  const char* field = bytes.data();
  for (; r.next(); field = r.data().data()) {
    switch (r.tag()) {
      case 1:
        r.skip();
        break;
      case 2:
        out.id = model::SpanId::from_bytes(r.get_view().data());
        break;
      case 3:
        out.trace_state = view_of(r.get_view());
        break;
      case 4: {
        const auto v = r.get_view();
        out.parent = v.size() == 8 ? model::SpanId::from_bytes(v.data()) : model::SpanId{};
        break;
      }
      case 5:
        out.name = view_of(r.get_view());
        break;
      case 6: {
        const auto kind = r.get_enum();
        if (kind > 5) unknown.append(field, r.data().data());
        out.kind = static_cast<model::SpanKind>(kind > 5 ? 0 : kind);
        break;
      }
      case 7:
        out.start_ns = static_cast<int64_t>(r.get_fixed64());
        break;
      case 8:
        out.end_ns = static_cast<int64_t>(r.get_fixed64());
        break;
      case 9:
        out.attributes.push_back(oracle_attribute(view_of(r.get_view())));
        break;
      case 10:
        out.dropped_attributes = r.get_uint32();
        break;
      case 11: {
        protozero::pbf_reader e = r.get_message();
        model::Event& event = out.events.emplace_back();
        std::string inner;
        for (const char* f = e.data().data(); e.next(); f = e.data().data()) {
          switch (e.tag()) {
            case 1:
              event.time_ns = static_cast<int64_t>(e.get_fixed64());
              break;
            case 2:
              event.name = view_of(e.get_view());
              break;
            case 3:
              event.attributes.push_back(oracle_attribute(view_of(e.get_view())));
              break;
            case 4:
              event.dropped_attributes = e.get_uint32();
              break;
            default:
              e.skip();
              inner.append(f, e.data().data());
          }
        }
        event.unknown = kept.keep(inner);
        break;
      }
      case 12:
        out.dropped_events = r.get_uint32();
        break;
      case 13: {
        protozero::pbf_reader l = r.get_message();
        model::Link& link = out.links.emplace_back();
        std::string inner;
        for (const char* f = l.data().data(); l.next(); f = l.data().data()) {
          switch (l.tag()) {
            case 1:
              link.trace = model::TraceId::from_bytes(l.get_view().data());
              break;
            case 2:
              link.span = model::SpanId::from_bytes(l.get_view().data());
              break;
            case 3:
              link.trace_state = view_of(l.get_view());
              break;
            case 4:
              link.attributes.push_back(oracle_attribute(view_of(l.get_view())));
              break;
            case 5:
              link.dropped_attributes = l.get_uint32();
              break;
            case 6:
              link.flags = l.get_fixed32();
              break;
            default:
              l.skip();
              inner.append(f, l.data().data());
          }
        }
        link.unknown = kept.keep(inner);
        break;
      }
      case 14:
        out.dropped_links = r.get_uint32();
        break;
      case 15: {
        protozero::pbf_reader s = r.get_message();
        while (s.next()) {
          if (s.tag() == 2)
            out.status_message = view_of(s.get_view());
          else if (s.tag() == 3)
            out.status = static_cast<model::StatusCode>(s.get_enum());
          else
            s.skip();
        }
        break;
      }
      case 16:
        out.flags = r.get_fixed32();
        break;
      default:
        r.skip();
        unknown.append(field, r.data().data());
    }
  }
  out.unknown = kept.keep(unknown);
  return out;
}

}  // namespace clew::otlp::testing
