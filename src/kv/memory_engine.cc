#include "kv/memory_engine.h"

#include <utility>

namespace clew::kv {
namespace {

class View final : public EngineView {
 public:
  View(CowTree<std::string>::Snapshot tree, EngineMark mark) : tree_(std::move(tree)), mark_(std::move(mark)) {}
  Status scan(std::string_view begin, std::string_view end, EngineVisitor visit) const override {
    tree_.each(begin, end, [&](std::string_view key, const std::string& value) { return visit(key, value); });
    return {};
  }
  const EngineMark& mark() const override { return mark_; }

 private:
  CowTree<std::string>::Snapshot tree_;
  EngineMark mark_;
};

}  // namespace

Status MemoryEngine::commit(EngineBatch& batch, const EngineMark& mark) {
  CHECK(mark.position >= mark_.position);
  for (EngineBatch::Operation& operation : batch.operations()) {
    if (operation.erases) {
      tree_.erase(operation.key);
    } else {
      tree_.upsert(operation.key) = std::move(operation.value);
    }
  }
  batch.clear();
  mark_ = mark;
  return {};
}

Status MemoryEngine::get(std::string_view key, std::string& value) const {
  const std::string* found = tree_.find(key);
  if (found == nullptr) return {Code::kNotFound, "memory engine: no such key"};
  value = *found;
  return {};
}

Status MemoryEngine::scan(std::string_view begin, std::string_view end, EngineVisitor visit) const {
  tree_.each(begin, end, [&](std::string_view key, const std::string& value) { return visit(key, value); });
  return {};
}

std::shared_ptr<const EngineView> MemoryEngine::view() const { return std::make_shared<View>(tree_.snapshot(), mark_); }

Status MemoryEngine::reset() {
  tree_.clear();
  mark_ = {};
  return {};
}

}  // namespace clew::kv
