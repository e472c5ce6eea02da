# What others build against: each library is one archive, its headers, a CMake package and a pkg-config file.
#   cmake --install build/release --component consensus --prefix /usr/local
#   cmake --install build/release --component client --prefix /usr/local
# examples/counter uses the first, examples/kv-client the second; tests/library.sh installs both somewhere and builds
# the examples against them.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

# clew_install_library(COMPONENT "description" layer...): lib clew-COMPONENT, CMake target clew::COMPONENT.
function(clew_install_library component description)
  set(CLEW_LIBRARY clew-${component})
  set(CLEW_LIBRARY_DESCRIPTION ${description})
  set(target clew_${component}_library)
  foreach(layer ${ARGN})
    list(APPEND objects $<TARGET_OBJECTS:clew_${layer}>)
  endforeach()
  add_library(${target} STATIC ${objects})
  set_target_properties(${target} PROPERTIES OUTPUT_NAME ${CLEW_LIBRARY} EXPORT_NAME ${component} LINKER_LANGUAGE CXX)
  target_compile_features(${target} INTERFACE cxx_std_20)
  target_include_directories(${target} INTERFACE $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}/clew>)
  target_link_libraries(${target} PRIVATE OpenSSL::SSL OpenSSL::Crypto Threads::Threads)

  set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/${CLEW_LIBRARY})
  install(TARGETS ${target} EXPORT ${CLEW_LIBRARY} ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT ${component})
  install(EXPORT ${CLEW_LIBRARY} NAMESPACE clew:: FILE ${CLEW_LIBRARY}-targets.cmake DESTINATION ${package_dir}
          COMPONENT ${component})
  foreach(layer ${ARGN})
    install(DIRECTORY ${CMAKE_SOURCE_DIR}/src/${layer} DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/clew COMPONENT ${component}
            FILES_MATCHING PATTERN "*.h" PATTERN "*_test.h" EXCLUDE PATTERN "*_impl.h" EXCLUDE PATTERN "testdata" EXCLUDE)
  endforeach()
  configure_package_config_file(${CMAKE_SOURCE_DIR}/packaging/library-config.cmake.in
                                ${CMAKE_BINARY_DIR}/${CLEW_LIBRARY}-config.cmake INSTALL_DESTINATION ${package_dir})
  write_basic_package_version_file(${CMAKE_BINARY_DIR}/${CLEW_LIBRARY}-config-version.cmake COMPATIBILITY SameMinorVersion)
  install(FILES ${CMAKE_BINARY_DIR}/${CLEW_LIBRARY}-config.cmake ${CMAKE_BINARY_DIR}/${CLEW_LIBRARY}-config-version.cmake
          DESTINATION ${package_dir} COMPONENT ${component})
  # Relative, so that the tree can be moved.
  file(RELATIVE_PATH CLEW_PC_TO_PREFIX /prefix/${CMAKE_INSTALL_LIBDIR}/pkgconfig /prefix)
  configure_file(${CMAKE_SOURCE_DIR}/packaging/library.pc.in ${CMAKE_BINARY_DIR}/${CLEW_LIBRARY}.pc @ONLY)
  install(FILES ${CMAKE_BINARY_DIR}/${CLEW_LIBRARY}.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig COMPONENT ${component})
endfunction()

clew_install_library(consensus
  "Replicated state machines: a log that a group of processes agrees on, with sessions, snapshots and membership change"
  base env wal consensus os)
clew_install_library(client
  "Client of Clew's replicated key-value store: sessions, watches that survive a node, redirection to the leader"
  base env wal consensus kv control os)
