/** The backend on ONNX Runtime: memory, operations, and the graphs behind them. */
@NullMarked
package org.parallelcomp.backend.onnx;

import org.jspecify.annotations.NullMarked;
