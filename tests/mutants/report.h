// What became of the mutants, as lines on standard output and as the table of docs/mutants.md.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace clew::mutants {

// Of one mutant, or of the clean build in one profile.
struct Fate {
  std::string name;
  int scenario = 0;  // 0: a trap without a number
  std::string family;
  std::string profile;
  bool clean = false;      // no mutant
  uint64_t seeds = 0;      // tried
  uint64_t undecided = 0;  // of them: a checker's budget did not suffice
  uint64_t stuck = 0;      // of them: the run did not end
  std::string killed_by;   // empty: it lives
  double seconds = 0;

  bool alive() const { return killed_by.empty(); }
};

void print(const Fate& fate);
// Replaces summary and table in the Markdown document at `path`, which stand between two marked lines. False, and says
// why, when there are none.
bool write_table(const std::string& path, const std::string& summary, const std::vector<Fate>& fates);

}  // namespace clew::mutants
