// Chart: lines and dots as an SVG of 960 by 540, to be put on a slide: a title that says what is seen, axes with
// round numbers, colours that colour-blind people tell apart, a name beside each line. Pure; the same chart gives the
// same bytes; no script, no font from elsewhere.
#pragma once

#include <string>
#include <utility>
#include <vector>

namespace clew::app {

struct Series {
  std::string name;
  std::vector<std::pair<double, double>> points;  // by x
  bool dashed = false;                            // what was stated, not measured
  bool line = true;                               // false: dots alone
  size_t colour = 0;                              // an index: equal ones are of one thing
};

struct Chart {
  std::string title, subtitle;
  std::string x_label, y_label;
  bool log_x = false, log_y = false;  // values above 0 only
  bool counts_x = false;              // there is nothing between whole numbers
  std::vector<Series> series;
};
std::string to_svg(const Chart& chart);

}  // namespace clew::app
