import "m8";
