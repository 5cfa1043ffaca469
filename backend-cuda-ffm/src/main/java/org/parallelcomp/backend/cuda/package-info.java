/**
 * The CUDA backend: provider, memory, and the operations, each a launch of a kernel or a call of
 * NVIDIA's libraries.
 */
@NullMarked
package org.parallelcomp.backend.cuda;

import org.jspecify.annotations.NullMarked;
