import "m7";
