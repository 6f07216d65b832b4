"""One BLAS thread for this process, said before NumPy is imported.

Our matrix products are small, and our own threads share the cores: OpenBLAS's threads made a query 2 to 100 times
slower under load (measured). A value that is set already is left alone.
"""

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
