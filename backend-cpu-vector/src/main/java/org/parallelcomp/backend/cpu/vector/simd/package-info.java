/** The kernels, and the only code that uses the Vector API: arrays and memory in, no tensors. */
@NullMarked
package org.parallelcomp.backend.cpu.vector.simd;

import org.jspecify.annotations.NullMarked;
