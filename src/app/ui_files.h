// The files of the page that this build carries: none with -DCLEW_UI=OFF. They live as long as the program.
#pragma once

#include <span>

#include "api/ui.h"

namespace clew::app {

std::span<const api::UiFile> ui_files();

}  // namespace clew::app
