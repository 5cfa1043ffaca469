/**
 * What jextract wrote from NVIDIA's headers, as {@code scripts/jextract-cuda.sh} makes it from the
 * lists in the module's folder {@code bindings}. Never edited; only {@code ffi} calls it.
 */
package org.parallelcomp.backend.cuda.bindings;
