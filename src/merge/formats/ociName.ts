// The name that a container image's layout is asked for by: told without loading what reads one.

/** As `--format` has it. */
export const ociName = 'oci'
