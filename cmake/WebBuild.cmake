# Copies web/ beside its packages, checks its types, bundles it, and writes the bundle as a C++ source.
if(NOT EXISTS ${TO}/installed)
  file(WRITE ${TO}/ui_files_data.cc "#include \"app/ui_files.h\"\n"
       "namespace clew::app {\nextern const api::UiFile kUiFiles[];\nextern const size_t kUiFileCount;\n"
       "const api::UiFile kUiFiles[1] = {};\nconst size_t kUiFileCount = 0;\n}  // namespace clew::app\n")
  return()
endif()
file(REMOVE_RECURSE ${TO}/src ${TO}/browser ${TO}/dist)
file(GLOB sources ${FROM}/*.html ${FROM}/*.ts ${FROM}/*.mjs ${FROM}/tsconfig.json)
file(COPY ${sources} ${FROM}/src ${FROM}/browser DESTINATION ${TO})
foreach(step "node_modules/typescript/bin/tsc;--noEmit" "node_modules/vite/bin/vite.js;build;--logLevel;warn" "embed.mjs;dist;ui_files_data.cc")
  execute_process(COMMAND ${NODE} ${step} WORKING_DIRECTORY ${TO} RESULT_VARIABLE failed OUTPUT_VARIABLE said ERROR_VARIABLE said)
  if(failed)
    message(FATAL_ERROR "web/: ${step}\n${said}")
  endif()
endforeach()
