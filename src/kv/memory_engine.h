// MemoryEngine: the reference engine, and the one of the simulator. Views are free (cow_tree.h). engine.h has the
// contract; no error ever comes from here but kNotFound.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "kv/cow_tree.h"
#include "kv/engine.h"

namespace clew::kv {

class MemoryEngine final : public Engine {
 public:
  const EngineMark& mark() const override { return mark_; }
  Status commit(EngineBatch& batch, const EngineMark& mark) override;
  Status get(std::string_view key, std::string& value) const override;
  Status scan(std::string_view begin, std::string_view end, EngineVisitor visit) const override;
  std::shared_ptr<const EngineView> view() const override;
  Status reset() override;
  bool persistent() const override { return false; }
  size_t size() const { return tree_.size(); }

 private:
  mutable CowTree<std::string> tree_;  // taking a snapshot counts it
  EngineMark mark_;
};

}  // namespace clew::kv
