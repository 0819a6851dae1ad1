"""A job on this machine that ends, and one that fails."""

import submitit

executor = submitit.AutoExecutor(folder="log_test", cluster="local")
executor.update_parameters(timeout_min=1)
assert executor.submit(divmod, 5, 2).result() == (2, 1)
assert executor.submit(divmod, 5, 0).exception() is not None
