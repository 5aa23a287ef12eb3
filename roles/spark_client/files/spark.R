local({
  # Beside the packages and not in the workspace, so that it is neither saved with that nor removed. What somebody calls
  # spark of their own is found first.
  place <- attach(NULL, name = "ds_stack:spark")
  makeActiveBinding("spark", function() {
    if (!requireNamespace("reticulate", quietly = TRUE)) {
      stop("spark needs the package reticulate.", call. = FALSE)
    }
    if (!reticulate::py_module_available("ds_spark")) {
      stop("The Python of this R session (", reticulate::py_config()$python, ") has no ds_spark: take the machine's own.",
        call. = FALSE
      )
    }
    # Python's, without its traceback.
    tryCatch(reticulate::import("ds_spark.session")$session(), error = function(problem) {
      stop(sub("^.*ClusterError: ", "", conditionMessage(problem)), call. = FALSE)
    })
  }, place)
})
