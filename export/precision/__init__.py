"""fp16 and int8: rewriting an exported fp32 graph for devices that are faster at less."""
