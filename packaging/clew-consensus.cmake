# libclew-consensus: the replicated log as a library: one archive, its headers, a CMake package and a pkg-config file.
#   cmake --install build/release --component consensus --prefix /usr/local
# examples/counter uses it; tests/library.sh installs it somewhere and builds that against it.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

set(CLEW_LIBRARY_LAYERS base env wal consensus os)
foreach(layer ${CLEW_LIBRARY_LAYERS})
  list(APPEND clew_library_objects $<TARGET_OBJECTS:clew_${layer}>)
endforeach()
add_library(clew_consensus_library STATIC ${clew_library_objects})
set_target_properties(clew_consensus_library PROPERTIES OUTPUT_NAME clew-consensus EXPORT_NAME consensus LINKER_LANGUAGE CXX)
target_compile_features(clew_consensus_library INTERFACE cxx_std_20)
target_include_directories(clew_consensus_library INTERFACE $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}/clew>)
target_link_libraries(clew_consensus_library PRIVATE OpenSSL::SSL OpenSSL::Crypto Threads::Threads)

install(TARGETS clew_consensus_library EXPORT clew-consensus ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT consensus)
install(EXPORT clew-consensus NAMESPACE clew:: FILE clew-consensus-targets.cmake
        DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/clew-consensus COMPONENT consensus)
foreach(layer ${CLEW_LIBRARY_LAYERS})
  install(DIRECTORY ${CMAKE_SOURCE_DIR}/src/${layer} DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/clew COMPONENT consensus
          FILES_MATCHING PATTERN "*.h" PATTERN "*_test.h" EXCLUDE PATTERN "*_impl.h" EXCLUDE PATTERN "testdata" EXCLUDE)
endforeach()
configure_package_config_file(${CMAKE_CURRENT_LIST_DIR}/clew-consensus-config.cmake.in ${CMAKE_BINARY_DIR}/clew-consensus-config.cmake
                              INSTALL_DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/clew-consensus)
write_basic_package_version_file(${CMAKE_BINARY_DIR}/clew-consensus-config-version.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_BINARY_DIR}/clew-consensus-config.cmake ${CMAKE_BINARY_DIR}/clew-consensus-config-version.cmake
        DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/clew-consensus COMPONENT consensus)
# Relative, so that the tree can be moved.
file(RELATIVE_PATH CLEW_PC_TO_PREFIX /prefix/${CMAKE_INSTALL_LIBDIR}/pkgconfig /prefix)
configure_file(${CMAKE_CURRENT_LIST_DIR}/clew-consensus.pc.in ${CMAKE_BINARY_DIR}/clew-consensus.pc @ONLY)
install(FILES ${CMAKE_BINARY_DIR}/clew-consensus.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig COMPONENT consensus)
