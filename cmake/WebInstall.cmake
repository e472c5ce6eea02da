# Packages for web/, as its lock file names them. No script of a package runs. Where npm reaches no registry, the build
# goes on without the page and says so (WebBuild.cmake); the next build tries again, as `installed` is not there.
file(MAKE_DIRECTORY ${TO})
file(COPY ${FROM}/package.json ${FROM}/package-lock.json ${FROM}/.npmrc DESTINATION ${TO})
execute_process(COMMAND ${NPM} ci --ignore-scripts --no-audit --no-fund WORKING_DIRECTORY ${TO}
                RESULT_VARIABLE failed OUTPUT_VARIABLE said ERROR_VARIABLE said)
if(failed)
  message(WARNING "npm could not install the packages of web/: this clew is built without its page\n${said}")
  return()
endif()
file(WRITE ${TO}/installed "")
