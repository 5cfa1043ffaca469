/**
 * NVIDIA's libraries as Java sees them: where they are found, one check of every status, and an
 * owner for each thing that must be given back. Nothing here knows tensors.
 */
@NullMarked
package org.parallelcomp.backend.cuda.ffi;

import org.jspecify.annotations.NullMarked;
