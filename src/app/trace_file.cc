#include "app/trace_file.h"

#include <fcntl.h>
#include <spdlog/fmt/fmt.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zstd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <vector>

#include "base/varint.h"
#include "otlp/json.h"

namespace clew::app {
namespace {

constexpr size_t kReadBytes = 256 * 1024;
constexpr size_t kBatchBytes = 1 << 20;  // plain protobuf is handed out in pieces of about this size
constexpr int kMaxWindowLog = 27;
constexpr unsigned char kZstdMagic[4] = {0x28, 0xb5, 0x2f, 0xfd};

enum class Form { kUnknown, kJson, kPlain, kVarintFramed, kFixedFramed };

bool is_space(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }

// The end of the JSON object at the start of `text`, or 0 when it is not closed in it.
size_t object_end(std::string_view text) {
  size_t depth = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (c == '"') {
      for (++i; i < text.size() && text[i] != '"'; ++i) i += text[i] == '\\';
    } else if (c == '{' || c == '[') {
      ++depth;
    } else if ((c == '}' || c == ']') && depth > 0 && --depth == 0) {
      return i + 1;
    }
  }
  return 0;
}

}  // namespace

struct TraceFileReader::Impl {
  std::string path;
  Options options;
  int fd = -1;
  uint64_t total = 0, read = 0, bodies = 0;
  bool continues = false;
  bool over = false;

  // Stored bytes on their way through zstd; empty when the file is not compressed.
  ZSTD_DStream* zstd = nullptr;
  std::vector<char> stored;
  size_t stored_from = 0, stored_to = 0;
  bool frame_open = false;
  bool file_ended = false;

  // Decompressed bytes that are not yielded yet: [from, text.size()).
  std::string text;
  size_t from = 0;
  uint64_t offset = 0;  // of text[0] in the decompressed stream
  bool ended = false;   // nothing follows text
  Form form = Form::kUnknown;
  otlp::JsonReader json;
  std::string body;

  ~Impl() {
    ZSTD_freeDStream(zstd);
    if (fd > 0) ::close(fd);
  }

  std::string_view rest() const { return std::string_view(text).substr(from); }
  Error error(Code code, std::string_view what) const {
    return {code,
            fmt::format("{}, byte {}{}: {}", path, offset + from, zstd ? " of the decompressed stream" : "", what)};
  }

  Result<size_t> read_stored(char* out, size_t size) {
    while (true) {
      const ssize_t n = ::read(fd, out, size);
      if (n >= 0) {
        read += static_cast<uint64_t>(n);
        return static_cast<size_t>(n);
      }
      if (errno != EINTR) return Error{Code::kUnavailable, fmt::format("read {}: {}", path, std::strerror(errno))};
    }
  }

  // Appends decompressed bytes to `text`; sets `ended`.
  Status fill() {
    if (from > 0 && from * 2 >= text.size()) {
      offset += from;
      text.erase(0, from);
      from = 0;
    }
    const size_t had = text.size();
    if (zstd == nullptr) {
      text.resize(had + kReadBytes);
      auto n = read_stored(text.data() + had, kReadBytes);
      text.resize(had + (n.ok() ? n.value() : 0));
      if (!n.ok()) return n.error();
      ended = n.value() == 0;
      return {};
    }
    while (text.size() == had && !ended) {
      if (stored_from == stored_to && !file_ended) {
        CLEW_ASSIGN(const size_t n, read_stored(stored.data(), stored.size()));
        stored_from = 0;
        stored_to = n;
        file_ended = n == 0;
      }
      if (stored_from == stored_to && file_ended) {
        if (frame_open) return error(Code::kDataLoss, "the zstd stream is cut; fetch the file anew");
        ended = true;
        break;
      }
      text.resize(had + kReadBytes);
      ZSTD_inBuffer in{stored.data(), stored_to, stored_from};
      ZSTD_outBuffer out{text.data() + had, kReadBytes, 0};
      const size_t left = ZSTD_decompressStream(zstd, &out, &in);
      text.resize(had + out.pos);
      stored_from = in.pos;
      if (ZSTD_isError(left)) {
        return error(Code::kDataLoss, fmt::format("the zstd stream is damaged ({})", ZSTD_getErrorName(left)));
      }
      frame_open = left != 0;
    }
    return {};
  }

  Status begin() {
    stored.resize(kReadBytes);
    CLEW_TRY(fill());
    while (!ended && text.size() < 64) CLEW_TRY(fill());
    if (text.size() >= 4 && std::memcmp(text.data(), kZstdMagic, 4) == 0) {
      zstd = ZSTD_createDStream();
      ZSTD_DCtx_setParameter(zstd, ZSTD_d_windowLogMax, kMaxWindowLog);
      if (text.size() > stored.size()) stored.resize(text.size());
      std::copy(text.begin(), text.end(), stored.begin());
      stored_to = text.size();
      file_ended = ended;
      text.clear();
      ended = false;
      while (!ended && text.size() < 64) CLEW_TRY(fill());
    }
    return detect();
  }

  Status detect() {
    while (from < text.size() && is_space(text[from])) ++from;
    const std::string_view head = rest();
    if (head.empty()) {
      over = true;
      return {};
    }
    const auto byte = [&](size_t i) { return i < head.size() ? static_cast<unsigned char>(head[i]) : 0u; };
    if (head[0] == '{') {
      form = Form::kJson;
      return {};
    }
    // White space is JSON's: what was skipped may be the start of protobuf (a tag is 0x0a, as is a line feed).
    from = 0;
    const std::string_view all = text;
    ByteReader plain(all.substr(all.empty() || all[0] != 0x0a ? 0 : 1));
    const uint64_t length = plain.varint();
    const unsigned next = plain.ok() && plain.remaining() > 0 ? static_cast<unsigned char>(*plain.position()) : 0;
    if (all[0] == 0x0a && (length == 0 || next == 0x0a || next == 0x12 || next == 0x1a)) {
      form = Form::kPlain;
      return {};
    }
    if (all.size() >= 5 && static_cast<unsigned char>(all[0]) <= 0x03 && all[4] == 0x0a) {
      form = Form::kFixedFramed;
      return {};
    }
    ByteReader framed(all);
    framed.varint();
    if (framed.ok() && framed.remaining() > 0 && *framed.position() == 0x0a) {
      form = Form::kVarintFramed;
      return {};
    }
    const bool gzip = byte(0) == 0x1f && byte(1) == 0x8b;
    return error(Code::kInvalidArgument, gzip ? "is gzip; decompress it first, e.g. gzip -dc FILE | clew verify -"
                                              : "is neither OTLP JSON nor OTLP protobuf, plain or zstd");
  }

  Status too_large() const {
    return error(Code::kResourceExhausted,
                 fmt::format("a request above {} bytes; split it, or raise the limit", options.max_body_bytes));
  }

  Result<bool> next_json(std::string_view& out) {
    while (true) {
      while (from < text.size() && is_space(text[from])) ++from;
      if (from < text.size()) break;
      if (ended) return false;
      CLEW_TRY(fill());
    }
    // One line that opens and closes is the usual case and needs no look at its inside.
    size_t size = 0, looked = 0;
    while (true) {
      const size_t line = rest().find('\n', looked);
      if (line != std::string_view::npos || ended) {
        std::string_view one = rest().substr(0, line);
        while (!one.empty() && is_space(one.back())) one.remove_suffix(1);
        if (!one.empty() && one.front() == '{' && one.back() == '}') size = one.size();
        break;
      }
      looked = rest().size();
      if (looked > options.max_body_bytes) return too_large().error();
      CLEW_TRY(fill());
    }
    bool one_line = size > 0;
    if (one_line) {
      body.clear();
      const Status status = json.to_protobuf(rest().substr(0, size), options.limits, body);
      if (status.ok()) return yield(size, out);
      // Perhaps the first line of an object that goes on below.
      const size_t end = object_end(rest().substr(0, size));
      if (end != 0) return refuse(size, status);
    }
    size_t end;
    while ((end = object_end(rest())) == 0) {
      if (ended) {
        continues = false;
        return error(Code::kInvalidArgument, "a JSON object that is not closed");
      }
      if (rest().size() > options.max_body_bytes) return too_large().error();
      // Twice as much before looking again, so that the looking stays linear.
      const size_t want = rest().size() * 2;
      while (!ended && rest().size() < want) CLEW_TRY(fill());
    }
    body.clear();
    const Status status = json.to_protobuf(rest().substr(0, end), options.limits, body);
    if (!status.ok()) return refuse(end, status);
    return yield(end, out);
  }
  Result<bool> yield(size_t consumed, std::string_view& out) {
    from += consumed;
    ++bodies;
    out = body;
    return true;
  }
  Result<bool> refuse(size_t consumed, const Status& status) {
    Error what = error(status.code(), status.message());
    from += consumed;
    continues = true;
    return what;
  }

  // Makes `size` bytes available at `from`; false when the stream ends before.
  Result<bool> need(size_t size) {
    while (text.size() - from < size) {
      if (ended) return false;
      CLEW_TRY(fill());
    }
    return true;
  }

  // Reads the varint at `from + at`; its end goes to `at`.
  Result<bool> varint_at(size_t& at, uint64_t& value) {
    CLEW_TRY(need(at + kMaxVarintBytes).status());
    ByteReader reader(rest().substr(std::min(at, rest().size())));
    value = reader.varint();
    if (!reader.ok()) return false;
    at = rest().size() - reader.remaining();
    return true;
  }

  Result<bool> next_plain(std::string_view& out) {
    size_t end = 0;
    while (true) {
      CLEW_ASSIGN(const bool more, need(end + 1));
      if (!more) break;
      size_t at = end;
      uint64_t tag = 0, length = 0;
      CLEW_ASSIGN(const bool tagged, varint_at(at, tag));
      if (!tagged || (tag & 7) != 2) return error(Code::kInvalidArgument, "not a field of an OTLP request");
      CLEW_ASSIGN(const bool sized, varint_at(at, length));
      if (!sized) return error(Code::kInvalidArgument, "not a field of an OTLP request");
      if (length > options.max_body_bytes) return too_large().error();
      if (end > 0 && at + length > kBatchBytes) break;
      CLEW_ASSIGN(const bool whole, need(at + length));
      if (!whole) return error(Code::kInvalidArgument, "the file ends within a ResourceSpans");
      end = at + length;
    }
    if (end == 0) return false;
    body.assign(rest().substr(0, end));
    return yield(end, out);
  }

  Result<bool> next_framed(std::string_view& out) {
    CLEW_ASSIGN(const bool more, need(1));
    if (!more) return false;
    size_t at = 0;
    uint64_t length = 0;
    bool sized = false;
    if (form == Form::kVarintFramed) {
      CLEW_ASSIGN(sized, varint_at(at, length));
    } else {
      CLEW_ASSIGN(sized, need(4));
      for (; sized && at < 4; ++at) length = length << 8 | static_cast<unsigned char>(rest()[at]);
    }
    if (!sized) return error(Code::kInvalidArgument, "the file ends within a length");
    if (length > options.max_body_bytes) return too_large().error();
    CLEW_ASSIGN(const bool whole, need(at + length));
    if (!whole) return error(Code::kInvalidArgument, "the file ends within a request");
    body.assign(rest().substr(at, length));
    return yield(at + length, out);
  }
};

TraceFileReader::TraceFileReader(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
TraceFileReader::~TraceFileReader() = default;

Result<std::unique_ptr<TraceFileReader>> TraceFileReader::open(const std::string& path, Options options) {
  auto impl = std::make_unique<Impl>();
  impl->path = path == "-" ? "standard input" : path;
  impl->options = options;
  if (path == "-") {
    impl->fd = STDIN_FILENO;
  } else {
    impl->fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (impl->fd < 0) {
      const Code code = errno == ENOENT   ? Code::kNotFound
                        : errno == EACCES ? Code::kPermissionDenied
                                          : Code::kUnavailable;
      return Error{code, fmt::format("open {}: {}", path, std::strerror(errno))};
    }
    struct stat info {};
    if (::fstat(impl->fd, &info) == 0) {
      if (S_ISDIR(info.st_mode)) {
        return Error{Code::kInvalidArgument, fmt::format("{} is a directory; name the files in it", path)};
      }
      if (S_ISREG(info.st_mode)) impl->total = static_cast<uint64_t>(info.st_size);
    }
  }
  CLEW_TRY(impl->begin());
  return std::unique_ptr<TraceFileReader>(new TraceFileReader(std::move(impl)));
}

Result<bool> TraceFileReader::next(std::string_view& body) {
  Impl& m = *impl_;
  m.continues = false;
  if (m.over) return false;
  Result<bool> result = m.form == Form::kJson    ? m.next_json(body)
                        : m.form == Form::kPlain ? m.next_plain(body)
                                                 : m.next_framed(body);
  if ((!result.ok() && !m.continues) || (result.ok() && !result.value())) m.over = true;
  return result;
}

bool TraceFileReader::can_continue() const { return impl_->continues; }
uint64_t TraceFileReader::bytes_read() const { return impl_->read - (impl_->stored_to - impl_->stored_from); }
uint64_t TraceFileReader::total_bytes() const { return impl_->total; }
uint64_t TraceFileReader::bodies() const { return impl_->bodies; }

}  // namespace clew::app
