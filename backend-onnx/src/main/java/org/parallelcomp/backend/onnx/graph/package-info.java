/** Graphs in the format of ONNX, written to memory without a library. */
@NullMarked
package org.parallelcomp.backend.onnx.graph;

import org.jspecify.annotations.NullMarked;
