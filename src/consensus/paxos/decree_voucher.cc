#include "consensus/paxos/decree_voucher.h"

#include "consensus/sealed_text.h"

namespace clew::consensus::paxos {
namespace {

constexpr std::string_view kFile = "decrees";
constexpr std::string_view kTitle = "clew decrees 1";
constexpr uint64_t kMaxFileBytes = 4 << 10;

}  // namespace

std::string DecreeVoucher::encode() const {
  std::string text(kTitle);
  text += std::string("\nlog ") + (lost ? "lost" : "kept");
  text += "\nfrom " + std::to_string(from);
  text += "\nrecords " + std::to_string(records);
  text += "\nincarnation " + std::to_string(incarnation) + "\n";
  return seal(std::move(text));
}

Result<std::optional<DecreeVoucher>> DecreeVoucher::read(env::Disk& disk, const std::string& directory) {
  const std::string path = directory + "/" + std::string(kFile);
  const auto text = env::read_file(disk, path, kMaxFileBytes);
  if (!text.ok() && text.status().code() == Code::kNotFound) return std::optional<DecreeVoucher>();
  if (!text.ok()) return text.error();
  DecreeVoucher broken;
  broken.lost = true;
  const auto lines = unseal(*text, kTitle, path);
  if (!lines.ok() && lines.status().code() != Code::kDataLoss) return lines.error();
  if (!lines.ok()) return std::optional<DecreeVoucher>(broken);
  DecreeVoucher voucher;
  bool sound = lines->size() == 4;
  for (const auto& [key, value] : *lines) {
    if (key == "log") {
      sound &= value == "lost" || value == "kept";
      voucher.lost = value == "lost";
    } else if (key == "from") {
      sound &= parse_number(value, 10, voucher.from);
    } else if (key == "records") {
      sound &= parse_number(value, 10, voucher.records);
    } else if (key == "incarnation") {
      sound &= parse_number(value, 10, voucher.incarnation);
    } else {
      sound = false;
    }
  }
  return std::optional<DecreeVoucher>(sound ? voucher : broken);
}

Status DecreeVoucher::write(env::Disk& disk, const std::string& directory) const {
  return env::write_file_atomically(disk, directory, std::string(kFile), encode());
}

}  // namespace clew::consensus::paxos
