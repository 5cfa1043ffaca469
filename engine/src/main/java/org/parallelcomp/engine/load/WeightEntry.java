package org.parallelcomp.engine.load;

import org.parallelcomp.api.backend.FileRegion;
import org.parallelcomp.api.tensor.DType;
import org.parallelcomp.api.tensor.Shape;

/**
 * Where a weight lies. Names are those of GGUF ("blk.0.attn_q.weight") whatever the file's format.
 *
 * @param region its bytes, checked to lie inside the file
 * @param dtype its element type
 * @param shape its extents, outermost first: {@code [outputDim, inputDim]} for a matrix
 */
public record WeightEntry(FileRegion region, DType dtype, Shape shape) {}
