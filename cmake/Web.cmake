# The page of web/ as one C++ source, ${CLEW_UI_SOURCE}: npm installs the exact packages of web/package-lock.json below
# the build directory, vite bundles, web/embed.mjs compresses and writes the bytes. Nothing is written into the sources.
find_program(CLEW_NODE NAMES node nodejs)
find_program(CLEW_NPM npm)
if(NOT CLEW_NODE OR NOT CLEW_NPM)
  message(FATAL_ERROR "the page of web/ needs node (18 or newer) and npm: apt-get install nodejs npm, or build without it by -DCLEW_UI=OFF")
endif()
set(CLEW_WEB ${CMAKE_BINARY_DIR}/web)
set(CLEW_UI_SOURCE ${CLEW_WEB}/ui_files_data.cc)
file(GLOB_RECURSE web_sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/web/src/* ${CMAKE_SOURCE_DIR}/web/browser/* ${CMAKE_SOURCE_DIR}/web/*.html
     ${CMAKE_SOURCE_DIR}/web/*.ts ${CMAKE_SOURCE_DIR}/web/*.mjs ${CMAKE_SOURCE_DIR}/web/*.json)
list(FILTER web_sources EXCLUDE REGEX "/node_modules/")
add_custom_command(
  OUTPUT ${CLEW_WEB}/installed
  DEPENDS ${CMAKE_SOURCE_DIR}/web/package.json ${CMAKE_SOURCE_DIR}/web/package-lock.json
  COMMAND ${CMAKE_COMMAND} -DFROM=${CMAKE_SOURCE_DIR}/web -DTO=${CLEW_WEB} -DNPM=${CLEW_NPM} -P ${CMAKE_SOURCE_DIR}/cmake/WebInstall.cmake
  COMMENT "Installing the packages of web/" VERBATIM)
add_custom_command(
  OUTPUT ${CLEW_UI_SOURCE}
  DEPENDS ${CLEW_WEB}/installed ${web_sources} ${CMAKE_SOURCE_DIR}/cmake/WebBuild.cmake
  COMMAND ${CMAKE_COMMAND} -DFROM=${CMAKE_SOURCE_DIR}/web -DTO=${CLEW_WEB} -DNODE=${CLEW_NODE} -P ${CMAKE_SOURCE_DIR}/cmake/WebBuild.cmake
  COMMENT "Building the page of web/" VERBATIM)
