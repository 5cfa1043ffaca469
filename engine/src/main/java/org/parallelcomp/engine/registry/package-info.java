/** Backends and policies found by ServiceLoader, chosen by name, refused with reasons. */
@NullMarked
package org.parallelcomp.engine.registry;

import org.jspecify.annotations.NullMarked;
