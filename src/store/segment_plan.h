// SegmentPlan: one query made ready for one segment. Each condition is answered once for every code that the segment
// has, so that a span costs a few table look-ups.
//
// An answer has three values: no, maybe, yes. And is the smaller, Or the larger, Not turns it round. "Maybe" is said
// where columns do not tell (events, lists without a shape, the trace's root when it was not given): such spans are
// read and asked for real. So results are exactly those of store::matches. Texts that have no code are compared in the
// block's heap, those of templates by their numbers: neither is ever a "maybe", or one frequent column would have whole
// traces read. One thread; borrows the segment, its names and the matcher.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "store/matcher.h"
#include "store/segment.h"

namespace clew::store {

enum Answer : uint8_t { kNo = 0, kMaybe = 1, kYes = 2 };

class SegmentPlan {
 public:
  SegmentPlan(const Segment& segment, std::shared_ptr<const SegmentNames> names, const Matcher& matcher);

  // Blocks that may hold a matching span. Reads a line of the value filter where a condition needs it.
  const BlockSet& blocks() const { return blocks_; }
  // At most about so many spans match: the sum of what the postings say.
  uint64_t estimate() const { return estimate_; }
  // No span of a trace whose longest span is below this bucket matches.
  uint8_t min_bucket() const { return min_bucket_; }
  // A condition asks about the trace, not the span.
  bool asks_trace() const { return asks_trace_; }

  // Answers for the spans [low, high) of block `number`. `summary` null: questions about the trace are answered
  // "maybe". False when the block is malformed or its heap, where it is needed, cannot be read.
  bool evaluate(const BlockView& block, uint32_t number, uint32_t low, uint32_t high,
                const model::TraceSummary* summary, std::vector<uint8_t>& out);
  // Why a heap could not be read, the last time that one could not.
  const Status& failure() const { return failure_; }

 private:
  static constexpr uint8_t kListOperation = 255;  // in Leaf::by_operation: attributes without a shape
  // What a value's code means.
  // Numbers: yes when the template's numbers are those. Text: ask the condition with the text itself.
  enum Meaning : uint8_t { kMeansNo = 0, kMeansYes = 2, kMeansNumbers = 3, kMeansText = 4 };
  struct KeyColumn {
    uint32_t column = 0;
    std::vector<uint8_t> meaning;                                     // by code
    std::vector<std::pair<uint32_t, std::vector<uint64_t>>> numbers;  // template's code: the numbers that fit
    std::vector<uint16_t> per_operation;                              // values that a span of the operation has here
    std::vector<uint8_t> placeholders;                                // by code; filled where `steps`
    bool exact = false;  // kMeansText: equality, so another length is another text
    bool steps = false;  // needs the numbers of templates or the texts of the heap
  };
  struct Leaf {
    enum class Kind : uint8_t {
      kOperation,
      kContext,
      kAttribute,
      kDuration,
      kParent,
      kTrace,
      kTail
    } kind = Kind::kOperation;
    const Condition* condition = nullptr;
    std::vector<uint8_t>
        by_operation;  // kOperation: the answer; kAttribute: index of the column + 1, 0: absent, 255: maybe
    std::vector<uint8_t> by_context;  // kContext; kAttribute of kAny: the answer when the span has none
    std::vector<KeyColumn> columns;
    uint8_t of_root = kNo, of_child = kNo;  // kParent
    uint8_t absent = kNo;                   // kAttribute: without the attribute; kTail: without a tail
  };

  void prepare_leaf(const Condition& condition, Leaf& leaf, BlockSet& blocks, uint64_t& estimate);
  void prepare_by_operation(Leaf& leaf, BlockSet& blocks, uint64_t& estimate);
  void prepare_by_context(Leaf& leaf, BlockSet& blocks, uint64_t& estimate);
  void prepare_attribute(Leaf& leaf, BlockSet& blocks, uint64_t& estimate);
  void prepare_parent(Leaf& leaf, BlockSet& blocks, uint64_t& estimate);
  void prepare_tail(Leaf& leaf, BlockSet& blocks, uint64_t& estimate);
  void prepare_text_column(Leaf& leaf, KeyColumn& column, BlockSet& blocks, uint64_t& estimate);
  void prepare_number_column(Leaf& leaf, KeyColumn& column, BlockSet& blocks, uint64_t& estimate);
  Answer number_answer(const Condition& condition, model::ValueType type, uint64_t number) const;
  void add_filtered(uint64_t hash, BlockSet& blocks);

  bool evaluate_leaf(const Leaf& leaf, const BlockView& block, uint32_t low, uint32_t high,
                     const model::TraceSummary* summary, uint8_t* out);
  bool evaluate_attribute(const Leaf& leaf, const BlockView& block, uint32_t low, uint32_t high, uint8_t* out);
  // Answers for the values [0, high) (or [low, high) where steps are not needed) of a column.
  bool column_answers(const Leaf& leaf, const KeyColumn& column, std::string_view bytes, uint64_t low, uint64_t high,
                      std::vector<uint8_t>& out);
  bool text_answers(const Leaf& leaf, const KeyColumn& column, std::string_view bytes, uint64_t low, uint64_t high,
                    std::vector<uint8_t>& out);
  bool load_heap();

  const Segment& segment_;
  const std::shared_ptr<const SegmentNames> names_;
  const Matcher& matcher_;
  std::vector<Leaf> leaves_;  // by condition
  BlockSet blocks_;
  uint64_t estimate_ = 0;
  uint8_t min_bucket_ = 0;
  bool asks_trace_ = false;
  std::vector<std::vector<uint8_t>> scratch_;  // by node
  std::vector<uint32_t> operations_;           // of the block
  uint32_t block_ = 0;
  std::shared_ptr<const std::string> heap_;  // of the block, once it was needed
  Status failure_;
};

}  // namespace clew::store
