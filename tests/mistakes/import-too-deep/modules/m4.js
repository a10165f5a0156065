import "m5";
