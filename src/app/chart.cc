#include "app/chart.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <string_view>

namespace clew::app {
namespace {

constexpr double kWidth = 960, kHeight = 540;
constexpr double kLeft = 92, kRight = 210, kTop = 92, kBottom = 76;
constexpr double kLabelHeight = 22;
// Okabe & Ito, 2008.
constexpr std::array<std::string_view, 7> kColours = {"#0072b2", "#d55e00", "#009e73", "#cc79a7",
                                                      "#e69f00", "#56b4e9", "#000000"};

std::string escaped(std::string_view text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '&':
        out += "&amp;";
        break;
      case '"':
        out += "&quot;";
        break;
      default:
        out += c;
    }
  }
  return out;
}

std::string number(double value) {  // a coordinate
  char text[32];
  std::snprintf(text, sizeof text, "%.1f", value);
  return text;
}
std::string label_of(double value) {
  char text[32];
  const double size = std::abs(value);
  if (size >= 1e6) {
    std::snprintf(text, sizeof text, "%gM", value / 1e6);
  } else if (size >= 1e3) {
    std::snprintf(text, sizeof text, "%gk", value / 1e3);
  } else {
    std::snprintf(text, sizeof text, "%g", value);
  }
  return text;
}

// From values to one side of the picture.
class Scale {
 public:
  Scale(std::vector<double> values, bool log, bool counts, bool from_zero, double begin, double end)
      : log_(log), begin_(begin), end_(end) {
    if (log) std::erase_if(values, [](double value) { return value <= 0; });
    if (values.empty()) values = {1};
    const auto [least, most] = std::minmax_element(values.begin(), values.end());
    if (log) {
      low_ = std::floor(std::log10(*least) + 1e-9);
      high_ = std::max(std::ceil(std::log10(*most) - 1e-9), low_ + 1);
      for (double power = low_; power <= high_; ++power) ticks_.push_back(std::pow(10.0, power));
      return;
    }
    const double bottom = from_zero ? std::min(0.0, *least) : *least;
    const double wanted = round_step(std::max(*most - bottom, 1e-9) / 5);
    const double step = counts ? std::max(wanted, 1.0) : wanted;
    low_ = std::floor(bottom / step) * step;
    high_ = std::max(std::ceil(*most / step), low_ / step + 1) * step;
    for (double tick = low_; tick <= high_ + step / 2; tick += step) ticks_.push_back(tick);
  }
  double at(double value) const {
    const double x = log_ ? std::log10(std::max(value, 1e-300)) : value;
    return begin_ + (end_ - begin_) * std::clamp((x - low_) / (high_ - low_), 0.0, 1.0);
  }
  const std::vector<double>& ticks() const { return ticks_; }

 private:
  static double round_step(double at_least) {
    const double power = std::pow(10.0, std::floor(std::log10(at_least)));
    for (const double factor : {1.0, 2.0, 5.0, 10.0}) {
      if (factor * power >= at_least * 0.999) return factor * power;
    }
    return 10 * power;
  }

  bool log_;
  double begin_, end_;
  double low_ = 0, high_ = 1;
  std::vector<double> ticks_;
};

class Drawing {
 public:
  explicit Drawing(const Chart& chart)
      : chart_(chart),
        x_(values(chart, true), chart.log_x, chart.counts_x, false, kLeft, kWidth - kRight),
        y_(values(chart, false), chart.log_y, false, true, kHeight - kBottom, kTop) {}

  std::string draw() {
    out_ =
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 960 540\" width=\"960\" height=\"540\" "
        "font-family=\"Helvetica, Arial, sans-serif\" font-size=\"15\" fill=\"#222\">\n"
        "<rect width=\"960\" height=\"540\" fill=\"#fff\"/>\n";
    text(kLeft, 38, chart_.title, "font-size=\"24\" font-weight=\"bold\"");
    text(kLeft, 64, chart_.subtitle, "fill=\"#666\"");
    axes();
    for (const Series& series : chart_.series) plot(series);
    names();
    return out_ + "</svg>\n";
  }

 private:
  static std::vector<double> values(const Chart& chart, bool x) {
    std::vector<double> all;
    for (const Series& series : chart.series) {
      for (const auto& point : series.points) all.push_back(x ? point.first : point.second);
    }
    return all;
  }
  static std::string_view colour(const Series& series) { return kColours[series.colour % kColours.size()]; }

  void text(double x, double y, std::string_view what, std::string_view attributes) {
    out_ += "<text x=\"" + number(x) + "\" y=\"" + number(y) + "\" " + std::string(attributes) + ">" + escaped(what) +
            "</text>\n";
  }
  void line(double x1, double y1, double x2, double y2, std::string_view stroke) {
    out_ += "<line x1=\"" + number(x1) + "\" y1=\"" + number(y1) + "\" x2=\"" + number(x2) + "\" y2=\"" + number(y2) +
            "\" stroke=\"" + std::string(stroke) + "\"/>\n";
  }

  void axes() {
    const double right = kWidth - kRight;
    const double bottom = kHeight - kBottom;
    for (const double tick : y_.ticks()) {
      line(kLeft, y_.at(tick), right, y_.at(tick), "#ddd");
      text(kLeft - 10, y_.at(tick) + 5, label_of(tick), "text-anchor=\"end\"");
    }
    for (const double tick : x_.ticks()) {
      line(x_.at(tick), bottom, x_.at(tick), bottom + 6, "#888");
      text(x_.at(tick), bottom + 24, label_of(tick), "text-anchor=\"middle\"");
    }
    line(kLeft, bottom, right, bottom, "#888");
    text((kLeft + right) / 2, kHeight - 18, chart_.x_label, "text-anchor=\"middle\" fill=\"#444\"");
    const double middle = (kTop + bottom) / 2;
    text(24, middle, chart_.y_label,
         "text-anchor=\"middle\" fill=\"#444\" transform=\"rotate(-90 24 " + number(middle) + ")\"");
  }

  void plot(const Series& series) {
    std::string path;
    for (const auto& [x, y] : series.points) {
      path += (path.empty() ? "M" : " L") + number(x_.at(x)) + " " + number(y_.at(y));
    }
    if (series.line && series.points.size() > 1) {
      out_ += "<path d=\"" + path + "\" fill=\"none\" stroke=\"" + std::string(colour(series)) + "\" stroke-width=\"" +
              (series.dashed ? "1.5\" stroke-dasharray=\"6 5" : "3") + "\"/>\n";
    }
    if (series.dashed) return;
    for (const auto& [x, y] : series.points) {
      out_ += "<circle cx=\"" + number(x_.at(x)) + "\" cy=\"" + number(y_.at(y)) + "\" r=\"5\" fill=\"" +
              std::string(colour(series)) + "\" fill-opacity=\"" + (series.line ? "1" : "0.6") + "\"/>\n";
    }
  }

  // Beside the ends of the lines, moved apart where they would lie on each other.
  void names() {
    std::vector<std::pair<double, const Series*>> labels;
    for (const Series& series : chart_.series) {
      if (!series.points.empty() && !series.name.empty())
        labels.emplace_back(y_.at(series.points.back().second), &series);
    }
    std::stable_sort(labels.begin(), labels.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
    double lowest = kTop - kLabelHeight;
    for (auto& [y, series] : labels) lowest = y = std::max(y, lowest + kLabelHeight);
    double limit = kHeight - 12;
    for (auto at = labels.rbegin(); at != labels.rend(); ++at, limit -= kLabelHeight)
      at->first = std::min(at->first, limit);
    for (const auto& [y, series] : labels) {
      text(kWidth - kRight + 14, y + 5, series->name,
           "fill=\"" + std::string(colour(*series)) + "\"" + (series->dashed ? "" : " font-weight=\"bold\""));
    }
  }

  const Chart& chart_;
  const Scale x_, y_;
  std::string out_;
};

}  // namespace

std::string to_svg(const Chart& chart) { return Drawing(chart).draw(); }

}  // namespace clew::app
